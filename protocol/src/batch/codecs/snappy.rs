//! Snappy: written in Xerial's framing, as Kafka's Java client does; read in that and raw.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 = 1 | compatible i32 = 1 | { length i32 | raw snappy } ...
//! ```

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::deflate::NoMemory;
use super::output::{InflateFault, Output};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// What Kafka's Java client puts into one block.
const BLOCK_BYTES: usize = 32 * 1024;
/// No raw snappy inflates to more than 64 bytes for 3.
const RATIO_MAX: usize = 22;

/// Deflates `data` behind what `out` holds.
pub(super) fn deflate(
    encoder: &mut Encoder,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NoMemory> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION);
    for block in data.chunks(BLOCK_BYTES) {
        let length_at = out.len();
        let data_at = length_at + 4;
        out.resize(data_at + max_compress_len(block.len()), 0);
        let room = out.get_mut(data_at..).unwrap_or_default();
        let length = encoder.compress(block, room).map_err(|_| NoMemory)?;
        out.truncate(data_at + length);
        let length = i32::try_from(length).map_err(|_| NoMemory)?;
        let field = out.get_mut(length_at..data_at).unwrap_or_default();
        field.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Inflates `data`, framed or raw.
pub(in crate::batch) fn inflate(data: &[u8], output: &mut Output) -> Result<(), InflateFault> {
    let Some(mut rest) = data.strip_prefix(&MAGIC) else {
        return inflate_raw(data, output);
    };
    rest =
        rest.get(VERSION.len()..).ok_or(InflateFault::Corrupt("the frame header is cut short"))?;
    while !rest.is_empty() {
        let (length, behind) =
            rest.split_first_chunk().ok_or(InflateFault::Corrupt("a block length is cut short"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| InflateFault::Corrupt("a block length is negative"))?;
        let (block, behind) =
            behind.split_at_checked(length).ok_or(InflateFault::Corrupt("a block is cut short"))?;
        inflate_raw(block, output)?;
        rest = behind;
    }
    Ok(())
}

fn inflate_raw(data: &[u8], output: &mut Output) -> Result<(), InflateFault> {
    let length = decompress_len(data)
        .map_err(|_| InflateFault::Corrupt("the length in front is no length"))?;
    if length > data.len().saturating_mul(RATIO_MAX) {
        return Err(InflateFault::Corrupt("the length in front is more than snappy can hold"));
    }
    let room = output.room(length)?;
    let put = Decoder::new()
        .decompress(data, room)
        .map_err(|_| InflateFault::Corrupt("damaged snappy block"))?;
    output.advance(put);
    Ok(())
}
