//! Proves that record batches survive the way there and back with every codec, that nothing hostile passes
//! or costs more memory than its bound, and that the bytes on disk and wire stay what they are.
//!
//! How: random records (`round_trip`), every flipped bit, every cut, bombs and forged numbers (`hostile`),
//! one broken rule at a time (`check`), and files that other releases and other programs wrote (`golden`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod check;
mod golden;
mod hostile;
mod round_trip;
mod sample;
