//! The decoders that work in memory, as the seeded runs have them.

#[path = "../../tools/tests/fuzz/decoders/batch.rs"]
mod batch;
#[path = "../../tools/tests/fuzz/decoders/decoder.rs"]
mod decoder;
#[path = "../../tools/tests/fuzz/decoders/golden.rs"]
mod golden;
#[path = "../../tools/tests/fuzz/decoders/storage.rs"]
mod storage;
#[path = "../../tools/tests/fuzz/decoders/wire.rs"]
mod wire;

pub use decoder::Decoder;

/// All of them.
pub fn all() -> Vec<Decoder> {
    [wire::all(), batch::all(), storage::all()].into_iter().flatten().collect()
}
