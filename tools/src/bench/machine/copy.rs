//! Memory: a hot batch that is copied to a cold place, as an append into memory would do.

use std::hint::black_box;
use std::time::Duration;

use super::super::number::wide;
use crate::clock::Started;

/// The hot batch.
const BATCH_BYTES: usize = 64 * 1024;

/// The cold place: more than any cache holds.
const PLACE_BYTES: usize = 256 * 1024 * 1024;

/// How often the place is filled.
const ROUNDS: u64 = 4;

/// Answers the bytes copied and the time.
pub(super) fn copy() -> (u64, Duration) {
    let batch = vec![1_u8; BATCH_BYTES];
    let mut place = vec![0_u8; PLACE_BYTES];
    // The first round has the pages made.
    fill(&mut place, &batch);
    let started = Started::now();
    for _ in 0..ROUNDS {
        fill(black_box(&mut place), black_box(&batch));
    }
    (ROUNDS * wide(PLACE_BYTES), started.elapsed())
}

fn fill(place: &mut [u8], batch: &[u8]) {
    for piece in place.chunks_exact_mut(BATCH_BYTES) {
        piece.copy_from_slice(batch);
    }
}
