//! What this kind of machine is known to reach, so that a control that is slow can be told from a broker that is fast.
//!
//! The figures were taken with throw-away prototypes on the machine that the project is measured on: two cores, ext4
//! on a virtual disk, loopback. A simple law runs through them (see each function), so that they can be asked for other
//! sizes. On another machine they mean little: there a share may be void although nothing is wrong.

/// A control that reaches less than this part of what is known proves nothing.
pub(super) const PART_MIN: f64 = 0.7;

/// To encode, send, check and store one record, one byte, one batch; nanoseconds. Fitted to 31 and 17 million records
/// of 100 B a second in batches of 1 MiB and 16 KiB, and 3.5 and 1.8 million of 1 KiB: each is met within 7 %. Four connections
/// with 64 KiB are known to do better than this law says.
const RECORD_NANOS: f64 = 2.1;
const BYTE_NANOS: f64 = 0.274;
const BATCH_NANOS: f64 = 4_100.0;

/// Beyond so many bytes the kernel writes back while more comes in: a tenth of the memory.
const WRITE_BACK_BYTES: f64 = 2.3e9;

/// Then a byte takes so long: 1.5 GB a second over several connections.
const WRITE_BACK_BYTE_NANOS: f64 = 0.66;

/// What a record takes beside its value: lengths, deltas, no key, no headers.
pub(super) const RECORD_OVERHEAD_BYTES: f64 = 10.0;

/// Records a second of the bare produce loop.
pub(super) fn bare_loop(record_bytes: f64, batch_bytes: f64, bytes_in_all: f64) -> f64 {
    let wire_bytes = record_bytes + RECORD_OVERHEAD_BYTES;
    let per_batch = (batch_bytes / wire_bytes).floor().max(1.0);
    let cached = RECORD_NANOS + BYTE_NANOS * wire_bytes + BATCH_NANOS / per_batch;
    let written_back = cached.max(WRITE_BACK_BYTE_NANOS * wire_bytes);
    let part = (WRITE_BACK_BYTES / bytes_in_all.max(1.0)).min(1.0);
    1e9 / (part * cached + (1.0 - part) * written_back)
}

/// A page of 4 KiB whose memory the host took back costs 10 µs when it is touched again: 0.41 GB a second and nothing else.
const FRESH_BYTE_NANOS: f64 = 2.44;

/// Records a second of the bare produce loop into memory that the host took back: the least that new memory allows here.
pub(super) fn fresh_loop(record_bytes: f64, batch_bytes: f64) -> f64 {
    let fresh = FRESH_BYTE_NANOS * (record_bytes + RECORD_OVERHEAD_BYTES);
    1e9 / (1e9 / bare_loop(record_bytes, batch_bytes, 1.0) + fresh)
}

/// Bytes a second of writing groups of this size to a growing file and syncing each: 0.27 ms for a sync, and 0.59 ms
/// for each MiB. Known are 0.2 GB/s at 64 KiB and 1.2 GB/s at 1 MiB.
pub(super) fn synced(group_bytes: f64) -> f64 {
    group_bytes / (0.27e-3 + group_bytes / 1_048_576.0 * 0.59e-3)
}

/// Bytes a second of a loopback stream in pieces of 1 MiB.
pub(super) fn stream(connections: u64) -> f64 {
    if connections > 1 { 5.0e9 } else { 4.5e9 }
}

/// Microseconds of a round trip of a small message over loopback between two cores; on one core it is 4.
pub(super) const ECHO_MICROS: f64 = 73.0;

/// Microseconds of a write and `fdatasync` of one small record to a growing file.
pub(super) const SYNC_MICROS: f64 = 258.0;

/// The part of the time that idle cores stand still for more than [`super::pauses`] lets pass: 1.4 to 1.6 % in gaps of 3 to
/// 10 ms, some of one core alone, some of both.
pub(super) const STILL: f64 = 0.015;

/// Bytes a second of copying a hot batch to a cold place.
pub(super) const COPY: f64 = 9.1e9;

/// Bytes a second of writing 64 KiB at a time into a new preallocated file.
pub(super) const PAGE_CACHE: f64 = 6.0e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_of_the_bare_loop_meets_the_figures_that_it_is_fitted_to() {
        const KIB: f64 = 1_024.0;
        for (record, batch, known) in [
            (100.0, 1_024.0 * KIB, 31e6),
            (100.0, 64.0 * KIB, 26e6),
            (100.0, 16.0 * KIB, 17e6),
            (1_024.0, 1_024.0 * KIB, 3.5e6),
            (1_024.0, 16.0 * KIB, 1.8e6),
        ] {
            let found = bare_loop(record, batch, 1e9) / known;
            assert!((0.85..1.15).contains(&found), "{record} B in {batch} B: {found}");
        }
        // Sustained: 1.5 million records of 1 KiB, 13.7 million of 100 B.
        let sustained = bare_loop(1_024.0, 1_048_576.0, 100e9) / 1.5e6;
        assert!((0.9..1.1).contains(&sustained), "{sustained}");
    }

    #[test]
    fn new_memory_bounds_what_records_of_any_size_reach() {
        for record in [100.0, 1_024.0] {
            let bytes = fresh_loop(record, 1_048_576.0) * record;
            assert!((0.3e9..0.41e9).contains(&bytes), "{record} B: {bytes}");
        }
    }

    #[test]
    fn the_law_of_syncs_meets_its_figures() {
        assert!((0.19e9..0.23e9).contains(&synced(65_536.0)), "{}", synced(65_536.0));
        assert!((1.0e9..1.3e9).contains(&synced(1_048_576.0)), "{}", synced(1_048_576.0));
    }
}
