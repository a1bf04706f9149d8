//! Proves that the native protocol is what its document and its test vectors say, whatever bytes arrive.
//!
//! `golden` compares every message with a hand-made vector in `tests/golden/native`, both ways; `random`
//! sends thousands of random messages there and back; `ranges` looks at single fields; `hostile` cuts and
//! changes vectors and counts what decoding them allocates; `cost` counts what good messages allocate;
//! `document` compares `docs/native-protocol.md` with the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod cost;
mod document;
mod golden;
mod group_samples;
mod hostile;
mod random;
mod ranges;
mod samples;
mod vectors;
mod whole;

#[global_allocator]
static ALLOCATOR: thalweg_counting::Counting = thalweg_counting::Counting;
