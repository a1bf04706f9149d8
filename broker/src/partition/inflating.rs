//! Checks of batches whose records are compressed: many small ones at a time, but one large one.
//!
//! A batch of a few KiB may inflate to tens of MiB. Were every worker to hold that much at once, a few such batches would
//! decide how much memory the broker takes. A large one takes tens of milliseconds, too: meanwhile the worker's other
//! connections go on with another thread.

use std::sync::{Mutex, PoisonError};

use thalweg_protocol::batch::{BatchError, BatchHeader, BatchLimits, Scratch, check_produced};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// What a worker may inflate without asking: its scratch keeps that much anyway.
const SMALL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Room that is kept for the next large batch: taking and giving back tens of MiB for each lets the allocator hold
/// several times that.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Held while a large batch is inflated; the room that the last one had.
static LARGE: Mutex<Option<Scratch>> = Mutex::new(None);

/// How many connections may hand their worker's others over while they inflate a large batch or wait for their turn.
/// Each costs a thread; the next ones keep their workers waiting.
const ASIDE_MAX: usize = 8;

/// Those that may still do so.
static ASIDE: Semaphore = Semaphore::const_new(ASIDE_MAX);

/// As [`check_produced`]; waits while another large batch is inflated.
pub(super) fn check(
    batch: &[u8],
    limits: &BatchLimits,
    scratch: &mut Scratch,
) -> Result<BatchHeader, BatchError> {
    let inflated_bytes_max = limits.inflated_bytes_max.min(SMALL_BYTES_MAX);
    match check_produced(batch, &BatchLimits { inflated_bytes_max, ..*limits }, scratch) {
        Err(BatchError::Inflated { .. }) if inflated_bytes_max < limits.inflated_bytes_max => {
            aside(|| check_large(batch, limits))
        }
        checked => checked,
    }
}

fn check_large(batch: &[u8], limits: &BatchLimits) -> Result<BatchHeader, BatchError> {
    // Nothing is guarded but the room.
    let mut large = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |room: &Scratch| room.held_bytes() >= limits.inflated_bytes_max;
    let kept = large.take().filter(fits);
    let mut room = kept.unwrap_or_else(|| Scratch::with_room(limits.inflated_bytes_max));
    let checked = check_produced(batch, limits, &mut room);
    *large = Some(room).filter(|room| room.held_bytes() <= KEPT_BYTES_MAX);
    checked
}

/// Does long work here and now, so that nothing of its connection overtakes it, while another thread carries on with
/// the other connections of its worker.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let has_others = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    match ASIDE.try_acquire() {
        Ok(_permit) if has_others => block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thalweg_protocol::batch::{BatchBuilder, Compression};
    use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence, TimestampMs};
    use tokio::runtime::Builder;

    use super::*;

    fn zeros(bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::Zstd, 1 << 30);
        builder.try_append(TimestampMs::new(1), None, Some(&vec![0; bytes]), &[]).unwrap();
        builder.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE).to_vec()
    }

    #[test]
    fn a_large_batch_is_checked_as_a_small_one_is_and_the_limit_holds() {
        let limits = BatchLimits {
            batch_bytes_max: 1 << 20,
            inflated_bytes_max: 8 << 20,
            ratio_max: usize::MAX,
            timestamp_max: TimestampMs::new(i64::MAX),
            timestamp_min: TimestampMs::new(0),
            keys_required: false,
        };
        let mut scratch = Scratch::new();
        for bytes in [1 << 10, 6 << 20] {
            assert_eq!(check(&zeros(bytes), &limits, &mut scratch).unwrap().record_count, 1);
        }
        let refused = check(&zeros(9 << 20), &limits, &mut scratch);
        let expected = limits.inflated_bytes_max;
        assert!(
            matches!(refused, Err(BatchError::Inflated { inflated_bytes_max, .. }) if inflated_bytes_max == expected),
            "{refused:?}"
        );
    }

    /// Once a few bombs at a time kept every worker, and all connections stood still.
    #[test]
    fn the_other_connections_of_a_worker_go_on_while_a_large_batch_is_inflated() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let deadline = Duration::from_secs(30);
        let large = runtime.spawn(async move {
            // Only the worker of this task could run it.
            tokio::spawn(async move { send.send(()).unwrap() });
            aside(|| receive.recv_timeout(deadline))
        });
        assert_eq!(runtime.block_on(large).unwrap(), Ok(()));
    }

    #[test]
    fn a_runtime_without_other_threads_does_long_work_itself() {
        let runtime = Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(async { aside(|| 7) }), 7);
    }
}
