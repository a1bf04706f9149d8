//! Each fault by itself, on a shard that serves.

use std::time::Duration;

use thalweg_broker::base::{Clock, SystemClock};
use thalweg_protocol::{ErrorCode, MemberEpoch};
use thalweg_storage::defects::{Defect, planted};

use crate::one_shard::{OneShard, PATIENCE};

const RELOADS: &str = "thalweg_group_shard_reloads_total";

#[test]
fn an_append_that_fails_is_told_and_the_shard_is_read_anew() {
    let shard = OneShard::start();
    shard.commit(1).unwrap();
    shard.resign();
    let waiting: Vec<_> = (2..50).map(|offset| shard.begin(shard.commit_of(offset))).collect();
    for asked in waiting {
        let error = shard.end(asked).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CoordinatorLoading, "{error}");
        assert!(error.code().is_retriable());
    }
    let error = shard.committed().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorLoading, "never \"no offset\": {error}");
    assert!(shard.metric(RELOADS) >= 1.0);
    shard.lead();
    assert_eq!((shard.committed_at_last(), shard.logged()), (1, 1));
    shard.commit(60).unwrap();
    assert_eq!((shard.committed().unwrap(), shard.logged()), (60, 60));
}

#[test]
fn what_was_appended_and_not_seen_to_be_committed_is_found_again() {
    let shard = OneShard::start();
    shard.commit(1).unwrap();
    shard.hold_syncs();
    let asked = shard.begin(shard.commit_of(2));
    OneShard::until("the append", || shard.logged() == 2);
    // It is in the log a moment before anybody waits for its commit.
    OneShard::until("somebody waits", || {
        shard.partition.waiters().fail();
        asked.is_finished()
    });
    let error = shard.end(asked).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorLoading, "{error}");
    let error = shard.committed().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorLoading, "it is not committed: {error}");
    shard.let_sync();
    assert_eq!(shard.committed_at_last(), 2);
    shard.commit(3).unwrap();
    assert_eq!((shard.committed().unwrap(), shard.logged()), (3, 3));
}

/// The writer of the time before a reload used to append behind what was read: the log then said more than the shard,
/// until it was read again.
#[test]
fn a_shard_is_not_read_anew_before_its_earlier_writer_has_ended() {
    let shard = OneShard::start();
    shard.commit(1).unwrap();
    shard.hold_syncs();
    let first = shard.begin(shard.commit_of(2));
    OneShard::until("the append", || shard.logged() == 2);
    // The writer has this one in hand, and has not begun to append it.
    shard.clock.hold_data();
    let second = shard.begin(shard.commit_of(3));
    OneShard::until("the writer is held", || shard.clock.held() == 1);
    shard.partition.waiters().fail();
    assert!(shard.end(first).is_err());
    shard.let_sync();
    // With the fault it is read now, without what the writer holds. It must not be: looked for a while, and with the fault
    // for as long as it takes.
    let clock = SystemClock::new();
    let is_planted = planted(Defect::ReadBesideWriter);
    let a_while = if is_planted { PATIENCE } else { Duration::from_millis(300) };
    while clock.now().get() < a_while {
        let early = shard.committed();
        assert!(early.is_err(), "read to {early:?} while an earlier writer may still append");
    }
    shard.clock.let_go();
    let told = shard.end(second);
    assert_eq!(shard.committed_at_last(), shard.logged(), "the second was told {told:?}");
    shard.commit(9).unwrap();
    assert_eq!((shard.committed().unwrap(), shard.logged()), (9, 9));
}

/// A worker that had panicked used to leave "loading" behind for ever, and nothing in the figures.
#[test]
fn a_worker_that_panics_begins_again_from_the_log() {
    let shard = OneShard::start();
    shard.commit(1).unwrap();
    // What panics may be its look at the sessions, and be over before this commit comes: then there is another one. It
    // begins again five times in ten minutes.
    let (mut last, mut panics) = (1, 0);
    let refused = (0..4).find_map(|_| {
        shard.clock.panic_times(1);
        let committed = shard.commit(last + 1);
        OneShard::until("a panic", || shard.clock.panics_left() == 0);
        panics += 1;
        last += i64::from(committed.is_ok());
        assert_eq!(shard.committed_at_last(), last);
        committed.err()
    });
    let error = refused.expect("its look at the sessions has taken every panic");
    assert_eq!(error.code(), ErrorCode::CoordinatorLoading, "{error}");
    assert_eq!(shard.tasks.panics(), panics);
    assert!(shard.metric(RELOADS) >= 1.0);
    assert!(shard.readiness.is_ready());
    shard.commit(60).unwrap();
    assert_eq!((shard.committed().unwrap(), shard.logged()), (60, 60));
}

#[test]
fn a_worker_that_panics_again_and_again_is_given_up_and_says_so() {
    let shard = OneShard::start();
    shard.commit(1).unwrap();
    shard.clock.panic_times(1_000);
    OneShard::until("it is given up", || {
        shard.commit(2).is_err_and(|error| error.code() == ErrorCode::Internal)
    });
    assert_eq!(shard.clock.panics_left(), 1_000 - 6);
    assert_eq!(shard.tasks.panics(), 6);
    let error = shard.committed().unwrap_err();
    assert!(error.to_string().contains("panicked too often"), "{error}");
    let reasons = shard.readiness.reasons();
    assert!(reasons[0].0.contains("__consumer_offsets-0"), "{reasons:?}");
    let listing = shard.list();
    let (missing, why) = &listing.missing[0];
    assert_eq!((missing.get(), why.code()), (0, ErrorCode::Internal), "{listing:?}");
}

/// One shard that had nothing to say used to keep all groups from being listed.
#[test]
fn what_one_shard_cannot_tell_is_missing_from_the_list_without_the_others() {
    let shard = OneShard::among(2);
    shard.commit(1).unwrap();
    let listing = shard.list();
    let groups: Vec<&str> = listing.groups.iter().map(|it| it.group.as_str()).collect();
    let missing: Vec<_> =
        listing.missing.iter().map(|(number, why)| (number.get(), why.code())).collect();
    let other = 1 - shard.partition.at().partition.get();
    assert_eq!(groups, ["g"]);
    assert_eq!(missing, [(other, ErrorCode::CoordinatorLoading)]);
}

/// A broker that was stopped for longer than a session used to take out every member at its first look, though their
/// heartbeats lay in its queue.
#[test]
fn a_member_is_not_taken_out_because_the_broker_slept() {
    let shard = OneShard::start();
    let epoch = shard.beat(MemberEpoch::JOIN).unwrap().epoch;
    shard.clock.hold_control();
    OneShard::until("the worker is held", || shard.clock.held() == 1);
    shard.clock.advance(Duration::from_secs(20));
    let beat = shard.begin(OneShard::heartbeat(epoch));
    shard.clock.let_go();
    assert!(shard.end(beat).is_ok(), "its heartbeat was in the queue");
    assert_eq!(shard.describe().unwrap().members.len(), 1);
    // A member that is silent while somebody listens goes as before.
    OneShard::until("it is taken out", || {
        shard.clock.advance(Duration::from_millis(100));
        shard.describe().is_err()
    });
}
