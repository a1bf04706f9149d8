//! Bounds-checked cursors over bytes: the only place with byte arithmetic.
//!
//! Owns [`Reader`], [`Writer`] and the variable-length integers. Never allocates by a number that it
//! has read before it has checked that the bytes for it are there.

mod reader;
pub mod varint;
mod writer;

pub use reader::{DecodeError, ELEMENTS_MAX, Reader};
pub use writer::{Chunks, Writer};
