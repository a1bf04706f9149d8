//! The partition's own promises: what is answered, read, deleted and refused while nothing is synced.

use thalweg_broker::partition::PartitionError;
use thalweg_protocol::{LeaderEpoch, Offset};
use thalweg_storage::defects::Defect;

use crate::one_partition::{EPOCH, OnePartition};
use crate::verdict::{Verdict, assert_caught, demand};

#[test]
fn acks_all_waits_for_the_sync() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        let commit = one.append(0, EPOCH).unwrap().commit;
        demand(commit.is_some(), "a batch was acknowledged before its sync")?;
        one.let_sync();
        demand(commit.unwrap().blocking_recv().is_ok(), "a synced batch was never acknowledged")
    }
    assert_caught(Defect::AckBeforeSync, scenario);
}

#[test]
fn a_duplicate_waits_like_its_original() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        let original = one.append(0, EPOCH).unwrap();
        let duplicate = one.append(0, EPOCH).unwrap();
        demand(duplicate.base_offset == original.base_offset, "a duplicate was stored twice")?;
        demand(duplicate.commit.is_some(), "a duplicate was acknowledged before its original")?;
        one.let_sync();
        for commit in [original.commit, duplicate.commit].into_iter().flatten() {
            demand(commit.blocking_recv().is_ok(), "a synced batch was never acknowledged")?;
        }
        Ok(())
    }
    assert_caught(Defect::AckDuplicateEarly, scenario);
}

/// Once such a repetition was refused at once with the code that tells a producer *it is stored*, while the
/// original could still be lost.
#[test]
fn a_duplicate_that_is_forgotten_waits_like_its_original() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        for sequence in 0..7 {
            one.append(sequence, EPOCH).unwrap();
        }
        let duplicate = one.append(0, EPOCH).unwrap();
        demand(duplicate.base_offset == Offset::NONE, "six batches are remembered")?;
        demand(duplicate.commit.is_some(), "a duplicate was acknowledged before its original")?;
        one.let_sync();
        let committed = duplicate.commit.unwrap().blocking_recv();
        demand(committed.is_ok(), "a synced batch was never acknowledged")
    }
    assert_caught(Defect::AckDuplicateEarly, scenario);
}

#[test]
fn readers_see_nothing_that_is_not_synced() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        let commit = one.append(0, EPOCH).unwrap().commit;
        let unsynced = one.fetch(EPOCH).unwrap().bytes();
        demand(unsynced == 0, format!("{unsynced} bytes were read before their sync"))?;
        one.let_sync();
        commit.unwrap().blocking_recv().unwrap();
        demand(one.fetch(EPOCH).unwrap().bytes() > 0, "a synced batch could not be read")
    }
    assert_caught(Defect::ReadAboveHighWatermark, scenario);
}

#[test]
fn nothing_above_the_high_watermark_is_deleted() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        let commit = one.append(0, EPOCH).unwrap().commit;
        let deleted = one.partition.delete_below(Some(Offset::new(1)));
        let is_refused = matches!(deleted, Err(PartitionError::OutOfRange { .. }));
        demand(is_refused, format!("deleted what nobody could read yet: {deleted:?}"))?;
        one.let_sync();
        commit.unwrap().blocking_recv().unwrap();
        let deleted = one.partition.delete_below(Some(Offset::new(1)));
        demand(deleted.is_ok(), format!("{deleted:?}"))
    }
    assert_caught(Defect::DeleteAboveHighWatermark, scenario);
}

#[test]
fn an_old_leader_epoch_is_fenced() {
    fn scenario() -> Verdict {
        let one = OnePartition::unsynced();
        let old = LeaderEpoch::new(EPOCH.get() - 1);
        let written = one.append(0, old).map(|accepted| accepted.base_offset);
        let is_fenced = matches!(written, Err(PartitionError::FencedEpoch { .. }));
        demand(is_fenced, format!("an append of an old epoch: {written:?}"))?;
        let read = one.fetch(old).map(|fetched| fetched.bytes());
        let is_fenced = matches!(read, Err(PartitionError::FencedEpoch { .. }));
        demand(is_fenced, format!("a fetch of an old epoch: {read:?}"))?;
        let newer = one.fetch(LeaderEpoch::new(EPOCH.get() + 1)).map(|fetched| fetched.bytes());
        let is_unknown = matches!(newer, Err(PartitionError::UnknownEpoch { .. }));
        demand(is_unknown, format!("a fetch of an epoch to come: {newer:?}"))
    }
    assert_caught(Defect::IgnoreLeaderEpoch, scenario);
}
