//! The native door: `thalweg_protocol::native` to `api` and back.

mod decode;
mod encode;

pub(crate) use decode::{Decoded, decode};
pub(crate) use encode::{encode, encode_failure, encode_handshake};
