//! Checks of batches whose records are compressed: many small ones at a time, but one large one.
//!
//! A batch of a few KiB may inflate to tens of MiB. Were every worker to hold that much at once, a few such batches would
//! decide how much memory the broker takes.

use std::sync::{Mutex, PoisonError};

use thalweg_protocol::batch::{BatchError, BatchHeader, BatchLimits, Scratch, check_produced};

/// What a worker may inflate without asking: its scratch keeps that much anyway.
const SMALL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Room that is kept for the next large batch: taking and giving back tens of MiB for each lets the allocator hold
/// several times that.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Held while a large batch is inflated; the room that the last one had.
static LARGE: Mutex<Option<Scratch>> = Mutex::new(None);

/// As [`check_produced`]; waits while another large batch is inflated.
pub(super) fn check(
    batch: &[u8],
    limits: &BatchLimits,
    scratch: &mut Scratch,
) -> Result<BatchHeader, BatchError> {
    let inflated_bytes_max = limits.inflated_bytes_max.min(SMALL_BYTES_MAX);
    match check_produced(batch, &BatchLimits { inflated_bytes_max, ..*limits }, scratch) {
        Err(BatchError::Inflated { .. }) if inflated_bytes_max < limits.inflated_bytes_max => {
            // Nothing is guarded but the room.
            let mut large = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |room: &Scratch| room.held_bytes() >= limits.inflated_bytes_max;
            let kept = large.take().filter(fits);
            let mut room = kept.unwrap_or_else(|| Scratch::with_room(limits.inflated_bytes_max));
            let checked = check_produced(batch, limits, &mut room);
            *large = Some(room).filter(|room| room.held_bytes() <= KEPT_BYTES_MAX);
            checked
        }
        checked => checked,
    }
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::batch::{BatchBuilder, Compression};
    use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

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
}
