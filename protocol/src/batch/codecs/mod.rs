//! The four codecs: deflating into a growing vector, inflating into a bounded one.
//!
//! Inflating never grows its output past the bound, whatever the bytes announce, and stops at the first
//! byte beyond it.

mod deflate;
mod gzip;
mod lz4;
mod output;
mod snappy;
mod xxhash;
mod zstandard;

pub(super) use deflate::Deflater;
pub(super) use gzip::inflate as inflate_gzip;
pub(super) use lz4::inflate as inflate_lz4;
pub(super) use output::{InflateFault, Output};
pub(super) use snappy::inflate as inflate_snappy;
pub(super) use zstandard::Inflater as ZstdInflater;
