//! Every decoder of bytes that come from outside, by name, with the inputs that it starts from.

mod batch;
mod decoder;
mod folders;
mod golden;
mod metadata;
mod storage;
mod wire;

pub use decoder::Decoder;

/// All of them.
pub fn all() -> Vec<Decoder> {
    let rooms = [wire::all(), batch::all(), storage::all(), metadata::all(), folders::all()];
    rooms.into_iter().flatten().collect()
}
