use std::collections::BTreeMap;

use super::*;

const LIMITS: FlushLimits = FlushLimits { wait_max: Duration::from_secs(5), bytes_max: 1000 };

fn commit() -> GroupCommit<u32> {
    GroupCommit::new(LIMITS)
}

fn flush(log: u32, end: i64) -> Flush<u32> {
    Flush { log, end: Offset::new(end) }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl GroupCommit<u32> {
    fn now(&mut self, log: u32, end: i64) {
        self.appended(log, Offset::new(end), 10, Urgency::Now, at(0));
    }
}

#[test]
fn what_arrives_during_a_round_joins_the_next() {
    let mut commit = commit();
    commit.now(1, 7);
    commit.now(2, 3);
    assert_eq!(commit.begin(at(0)), [flush(1, 7), flush(2, 3)]);
    commit.now(1, 9);
    commit.now(3, 1);
    assert_eq!(commit.begin(at(0)), [], "one round at a time");
    assert_eq!(commit.next_due(), None);
    assert_eq!(commit.finished([(1, SyncResult::Synced)]), [flush(1, 7)], "not 9");
    assert_eq!(commit.begin(at(0)), [], "log 2 is still in flight");
    assert_eq!(commit.finished([(2, SyncResult::Synced)]), [flush(2, 3)]);
    assert_eq!(commit.begin(at(0)), [flush(1, 9), flush(3, 1)]);
}

#[test]
fn a_log_that_may_wait_does_so_until_its_time_or_its_bytes() {
    let mut commit = commit();
    commit.appended(1, Offset::new(5), 400, Urgency::Later, at(1000));
    commit.appended(1, Offset::new(6), 400, Urgency::Later, at(4000));
    assert_eq!(commit.next_due(), Some(at(6000)), "counted from the first append");
    assert_eq!(commit.begin(at(5999)), []);
    assert_eq!(commit.begin(at(6000)), [flush(1, 6)]);
    commit.finished([(1, SyncResult::Synced)]);
    commit.appended(1, Offset::new(7), 999, Urgency::Later, at(7000));
    assert_eq!(commit.begin(at(7000)), []);
    commit.appended(1, Offset::new(8), 1, Urgency::Later, at(7001));
    assert_eq!(commit.begin(at(7001)), [flush(1, 8)]);
}

#[test]
fn a_log_that_becomes_urgent_waits_no_longer() {
    let mut commit = commit();
    commit.appended(1, Offset::new(5), 10, Urgency::Later, at(0));
    commit.appended(1, Offset::new(6), 10, Urgency::Now, at(10));
    assert_eq!(commit.begin(at(10)), [flush(1, 6)]);
}

#[test]
fn a_clean_stop_flushes_what_might_wait() {
    let mut commit = commit();
    commit.appended(1, Offset::new(5), 10, Urgency::Later, at(0));
    assert_eq!(commit.begin_all(), [flush(1, 5)]);
    commit.finished([(1, SyncResult::Synced)]);
    assert!(commit.is_idle());
}

#[test]
fn after_a_failed_sync_nothing_is_published_or_begun() {
    let mut commit = commit();
    commit.now(1, 7);
    commit.now(2, 3);
    commit.now(3, 4);
    commit.begin(at(0));
    let results = [(1, SyncResult::Synced), (2, SyncResult::Failed), (3, SyncResult::Synced)];
    assert_eq!(commit.finished(results), [flush(1, 7)]);
    commit.now(1, 9);
    assert_eq!(commit.begin(at(0)), []);
    assert_eq!(commit.next_due(), None);
    assert!(commit.has_failed());
}

#[test]
fn a_cut_during_a_round_lowers_what_it_may_publish() {
    let mut commit = commit();
    commit.now(1, 100);
    commit.begin(at(0));
    commit.truncated(&1, Offset::new(50));
    commit.now(1, 80);
    assert_eq!(commit.finished([(1, SyncResult::Synced)]), [flush(1, 50)], "80 are other records");
    assert_eq!(commit.begin(at(0)), [flush(1, 80)]);
}

#[test]
fn a_deleted_log_is_forgotten_also_in_flight() {
    let mut commit = commit();
    commit.now(1, 100);
    commit.begin(at(0));
    commit.removed(&1);
    assert_eq!(commit.finished([(1, SyncResult::Synced)]), []);
    assert!(commit.is_idle());
}

/// What a disk really holds of each log, beside what group commit says.
#[derive(Default)]
struct Model {
    /// Written end, and the end that is on the disk.
    logs: BTreeMap<u32, (i64, i64)>,
    published: BTreeMap<u32, i64>,
    /// When the oldest append that is not published has to be in a round.
    deadlines: BTreeMap<u32, Duration>,
}

/// Random appends, cuts, rounds that finish in pieces and in any order, against a disk that keeps what was
/// written when a sync began.
#[test]
fn nothing_unsynced_is_published_and_no_log_starves() {
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut commit = commit();
        let mut model = Model::default();
        let mut open: Vec<u32> = Vec::new();
        let mut now = at(0);
        for _ in 0..200 {
            now += at(random.u64(0..700));
            match random.u8(0..10) {
                0..4 => append(&mut commit, &mut model, &mut random, now),
                4 => cut(&mut commit, &mut model, &mut random),
                5..7 if open.is_empty() => {
                    let round = commit.begin(now);
                    for (log, due) in &model.deadlines {
                        let late = *due <= now && !round.iter().any(|it| it.log == *log);
                        assert!(!late, "seed {seed}: log {log} was due at {due:?}, it is {now:?}");
                    }
                    for it in &round {
                        model.deadlines.remove(&it.log);
                        assert_eq!(it.end.get(), model.logs[&it.log].0, "seed {seed}");
                    }
                    open = round.iter().map(|it| it.log).collect();
                    random.shuffle(&mut open);
                }
                _ => {
                    let Some(log) = open.pop() else { continue };
                    // The sync of this file begins now at the latest, and keeps what is written.
                    let state = model.logs.get_mut(&log).unwrap();
                    state.1 = state.0;
                    // Appended while the sync runs: not covered.
                    if random.bool() {
                        state.0 += 1;
                        let end = Offset::new(state.0);
                        commit.appended(log, end, 1, Urgency::Now, now);
                        model.deadlines.insert(log, now);
                    }
                    for it in commit.finished([(log, SyncResult::Synced)]) {
                        let synced = model.logs[&it.log].1;
                        assert!(it.end.get() <= synced, "seed {seed}: {it:?}, synced {synced}");
                        model.published.insert(it.log, it.end.get());
                    }
                }
            }
        }
        drain(&mut commit, &mut model, &mut open, seed);
    }
}

fn append(
    commit: &mut GroupCommit<u32>,
    model: &mut Model,
    random: &mut fastrand::Rng,
    now: Duration,
) {
    let log = random.u32(0..4);
    let state = model.logs.entry(log).or_default();
    state.0 += random.i64(1..5);
    let (bytes, end) = (random.u64(1..400), Offset::new(state.0));
    let urgency = if random.bool() { Urgency::Now } else { Urgency::Later };
    commit.appended(log, end, bytes, urgency, now);
    let due = if urgency == Urgency::Now { now } else { now + LIMITS.wait_max };
    let deadline = model.deadlines.entry(log).or_insert(due);
    *deadline = due.min(*deadline);
}

fn cut(commit: &mut GroupCommit<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let log = random.u32(0..4);
    let Some(state) = model.logs.get_mut(&log) else { return };
    state.0 = random.i64(0..=state.0);
    // The disk may keep the old bytes, but they are not this log's any more.
    state.1 = state.1.min(state.0);
    commit.truncated(&log, Offset::new(state.0));
}

/// When appends stop, two rounds publish everything.
fn drain(commit: &mut GroupCommit<u32>, model: &mut Model, open: &mut Vec<u32>, seed: u64) {
    for _ in 0..2 {
        open.extend(commit.begin_all().into_iter().map(|it| it.log));
        for log in open.drain(..) {
            for it in commit.finished([(log, SyncResult::Synced)]) {
                model.published.insert(it.log, it.end.get());
            }
        }
    }
    assert!(commit.is_idle(), "seed {seed}");
    for (log, (written, _)) in &model.logs {
        let published = model.published.get(log).copied().unwrap_or(0);
        // A cut below a published end is announced by the log itself, not by group commit.
        assert!(published >= *written, "seed {seed}: log {log}: {published} of {written}");
    }
}
