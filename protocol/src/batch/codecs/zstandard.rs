//! Zstandard, in one call from buffer to buffer: unlike a stream, that needs no window of its own, whose
//! size a hostile frame could choose.

use std::fmt;

use zstd::bulk::Compressor;
use zstd::zstd_safe::{DCtx, compress_bound, get_error_name, get_frame_content_size};

use super::deflate::NoMemory;
use super::output::{InflateFault, Output};

/// Kafka's default level.
const LEVEL: i32 = 3;
/// `ZSTD_error_dstSize_tooSmall`: the numbers of zstd's errors do not change.
const OUTPUT_TOO_SMALL: usize = 70;
/// How much the first attempt expects of a frame that claims more, so that a lie costs little memory.
const EXPECTED_RATIO_MAX: usize = 32;
const EXPECTED_BYTES_MIN: usize = 64 * 1024;

/// Deflates `data` behind what `out` holds; `state` is kept for the next time.
pub(super) fn deflate(
    state: &mut Option<Compressor<'static>>,
    data: &[u8],
    level: Option<i32>,
    out: &mut Vec<u8>,
) -> Result<(), NoMemory> {
    let compressor = match state {
        Some(compressor) => compressor,
        None => state.insert(Compressor::new(level.unwrap_or(LEVEL)).map_err(|_| NoMemory)?),
    };
    let start = out.len();
    out.resize(start + compress_bound(data.len()), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let length = compressor.compress_to_buffer(data, room).map_err(|_| NoMemory)?;
    out.truncate(start + length);
    Ok(())
}

/// Zstandard's state for inflating, made at its first use and kept.
#[derive(Default)]
pub(in crate::batch) struct Inflater {
    context: Option<DCtx<'static>>,
}

impl Inflater {
    /// Inflates the frames in `data`.
    pub(in crate::batch) fn inflate(
        &mut self,
        data: &[u8],
        output: &mut Output,
    ) -> Result<(), InflateFault> {
        let expected = match get_frame_content_size(data) {
            Ok(Some(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Ok(None) => data.len().saturating_mul(4),
            Err(_) => return Err(InflateFault::Corrupt("no frame starts here")),
        };
        let credible = data.len().saturating_mul(EXPECTED_RATIO_MAX).max(EXPECTED_BYTES_MIN);
        output.reserve(expected.min(credible));
        loop {
            let context = self.context.get_or_insert_with(DCtx::create);
            match context.decompress(output.spare(), data) {
                Ok(put) => {
                    output.advance(put);
                    return Ok(());
                }
                Err(code) => {
                    // What an error leaves behind is not used again.
                    self.context = None;
                    if code != OUTPUT_TOO_SMALL.wrapping_neg() {
                        return Err(InflateFault::Corrupt(get_error_name(code)));
                    }
                    if !output.grow() {
                        return Err(InflateFault::Full);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("made", &self.context.is_some()).finish()
    }
}
