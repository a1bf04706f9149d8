//! LZ4 frames: written with independent 64 KiB blocks, as Kafka's Java client does; read also with linked
//! blocks, sizes and checksums, as C clients write them.
//!
//! ```text
//! magic u32 | FLG | BD | content size u64? | HC | { length u32 | block | XXH32? } ... | 0 u32 | XXH32?
//! ```
//! Little-endian; the highest bit of a length says that the block is stored as it is. Blocks are decoded
//! straight into the output, so that a frame costs no memory beyond it.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into,
    decompress_into_with_dict, get_maximum_output_size,
};

use super::deflate::NoMemory;
use super::output::{InflateFault, Output};
use super::xxhash::xxh32;

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, independent blocks, nothing else; blocks of 64 KiB.
const DESCRIPTOR: [u8; 2] = [0x60, 0x40];
const BLOCK_BYTES: usize = 64 * 1024;
const STORED: u32 = 1 << 31;
/// How far back a match may reach into the blocks before, in linked frames.
const WINDOW_BYTES: usize = 64 * 1024;
/// No block inflates to more than 255 bytes for 1.
const RATIO_MAX: usize = 255;

/// Deflates `data` behind what `out` holds.
pub(super) fn deflate(
    table: &mut CompressTable,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NoMemory> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    out.push(descriptor_checksum(&DESCRIPTOR));
    for block in data.chunks(BLOCK_BYTES) {
        let length_at = out.len();
        let data_at = length_at + 4;
        out.resize(data_at + get_maximum_output_size(block.len()), 0);
        let room = out.get_mut(data_at..).unwrap_or_default();
        let length = compress_into_with_table(block, room, table).map_err(|_| NoMemory)?;
        out.truncate(data_at + length);
        let mut field = u32::try_from(length).map_err(|_| NoMemory)?;
        if length >= block.len() {
            out.truncate(data_at);
            out.extend_from_slice(block);
            field = u32::try_from(block.len()).map_err(|_| NoMemory)? | STORED;
        }
        let at = out.get_mut(length_at..data_at).unwrap_or_default();
        at.copy_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

/// Inflates the one frame in `data`.
pub(in crate::batch) fn inflate(data: &[u8], output: &mut Output) -> Result<(), InflateFault> {
    let mut rest =
        data.strip_prefix(&MAGIC).ok_or(InflateFault::Corrupt("no frame starts here"))?;
    let frame = Descriptor::take(&mut rest)?;
    loop {
        let length = take_u32(&mut rest)?;
        if length == 0 {
            break;
        }
        let stored = length & STORED != 0;
        let length = usize::try_from(length & !STORED).unwrap_or(usize::MAX);
        if length > frame.block_bytes {
            return Err(InflateFault::Corrupt("a block is larger than the frame allows"));
        }
        let block = take(&mut rest, length)?;
        if frame.block_checksums && take_u32(&mut rest)? != xxh32(block) {
            return Err(InflateFault::Corrupt("wrong block checksum"));
        }
        if stored {
            output.put(block)?;
        } else {
            inflate_block(block, &frame, output)?;
        }
    }
    if frame.content_checksum && take_u32(&mut rest)? != xxh32(output.written()) {
        return Err(InflateFault::Corrupt("wrong content checksum"));
    }
    let written = u64::try_from(output.written().len()).unwrap_or(u64::MAX);
    if frame.content_bytes.is_some_and(|announced| announced != written) {
        return Err(InflateFault::Corrupt("the content is not as long as announced"));
    }
    if rest.is_empty() { Ok(()) } else { Err(InflateFault::Corrupt("bytes follow the frame")) }
}

fn inflate_block(
    block: &[u8],
    frame: &Descriptor,
    output: &mut Output,
) -> Result<(), InflateFault> {
    let wanted = frame.block_bytes.min(block.len().saturating_mul(RATIO_MAX));
    let (written, room) = output.split(wanted);
    let cut = room.len() < wanted;
    let result = if frame.linked {
        let (_, window) = written.split_at(written.len().saturating_sub(WINDOW_BYTES));
        decompress_into_with_dict(block, room, window)
    } else {
        decompress_into(block, room)
    };
    match result {
        Ok(put) => {
            output.advance(put);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if cut => Err(InflateFault::Full),
        Err(_) => Err(InflateFault::Corrupt("damaged block")),
    }
}

/// What stands at the front of a frame.
struct Descriptor {
    linked: bool,
    block_checksums: bool,
    content_bytes: Option<u64>,
    content_checksum: bool,
    block_bytes: usize,
}

impl Descriptor {
    fn take(rest: &mut &[u8]) -> Result<Self, InflateFault> {
        let start = *rest;
        let &[flags, sizes] = take_array(rest)?;
        if flags & 0b1100_0010 != 0b0100_0000 || sizes & 0b1000_1111 != 0 {
            return Err(InflateFault::Corrupt("unknown frame version or flags"));
        }
        if flags & 1 != 0 {
            return Err(InflateFault::Corrupt("the frame wants a dictionary"));
        }
        let block_bytes = match sizes >> 4 {
            4 => 64 * 1024,
            5 => 256 * 1024,
            6 => 1024 * 1024,
            7 => 4 * 1024 * 1024,
            _ => return Err(InflateFault::Corrupt("unknown block size")),
        };
        let content_bytes = match flags & (1 << 3) {
            0 => None,
            _ => Some(u64::from_le_bytes(*take_array(rest)?)),
        };
        let (descriptor, _) = start.split_at(start.len() - rest.len());
        let &[checksum] = take_array(rest)?;
        if checksum != descriptor_checksum(descriptor) {
            return Err(InflateFault::Corrupt("wrong frame header checksum"));
        }
        Ok(Self {
            linked: flags & (1 << 5) == 0,
            block_checksums: flags & (1 << 4) != 0,
            content_bytes,
            content_checksum: flags & (1 << 2) != 0,
            block_bytes,
        })
    }
}

fn descriptor_checksum(descriptor: &[u8]) -> u8 {
    xxh32(descriptor).to_le_bytes()[1]
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], InflateFault> {
    let short = InflateFault::Corrupt("the frame is cut short");
    let (taken, behind) = rest.split_at_checked(length).ok_or(short)?;
    *rest = behind;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], InflateFault> {
    let short = InflateFault::Corrupt("the frame is cut short");
    let (taken, behind) = rest.split_first_chunk().ok_or(short)?;
    *rest = behind;
    Ok(taken)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, InflateFault> {
    take_array(rest).map(|bytes| u32::from_le_bytes(*bytes))
}
