//! Gzip: one member, as Kafka's clients write it.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::deflate::NoMemory;
use super::output::{InflateFault, Output};

/// The window of every gzip writer: 32 KiB.
const WINDOW_BITS: u8 = 15;
/// Kafka's default level.
const LEVEL: u32 = 6;

/// Deflates `data` behind what `out` holds.
pub(super) fn deflate(data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), NoMemory> {
    let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(LEVEL).min(9);
    let mut state = Compress::new_gzip(flate2::Compression::new(level), WINDOW_BITS);
    out.reserve(data.len() / 2 + 64);
    loop {
        let done = usize::try_from(state.total_in()).map_err(|_| NoMemory)?;
        let rest = data.get(done..).unwrap_or_default();
        match state.compress_vec(rest, out, FlushCompress::Finish).map_err(|_| NoMemory)? {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError => out.reserve(out.capacity().max(64)),
        }
    }
}

/// Inflates the one gzip member in `data`.
pub(in crate::batch) fn inflate(data: &[u8], output: &mut Output) -> Result<(), InflateFault> {
    let mut state = Decompress::new_gzip(WINDOW_BITS);
    let mut rest = data;
    output.reserve(data.len().saturating_mul(4));
    loop {
        let mut beyond = [0; 1];
        let full = output.spare().is_empty() && !output.grow();
        let room = if full { beyond.as_mut_slice() } else { output.spare() };
        let (taken, put) = (state.total_in(), state.total_out());
        let status = state
            .decompress(rest, room, FlushDecompress::None)
            .map_err(|_| InflateFault::Corrupt("damaged deflate stream or wrong check sum"))?;
        let taken = count(state.total_in() - taken);
        let put = count(state.total_out() - put);
        rest = rest.get(taken..).unwrap_or_default();
        if full && put > 0 {
            return Err(InflateFault::Full);
        }
        output.advance(put);
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(()),
            Status::StreamEnd => return Err(InflateFault::Corrupt("bytes follow the gzip member")),
            Status::Ok | Status::BufError if taken == 0 && put == 0 => {
                return Err(InflateFault::Corrupt("the gzip member is cut short"));
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

/// A count of bytes that lie in memory.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).expect("bytes in memory are counted by usize")
}
