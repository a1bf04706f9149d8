//! Entries of offset, time and transaction indexes.

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// The batch's last offset minus the segment's base offset.
    pub(super) relative: u32,
    /// The byte at which the batch begins.
    pub(super) position: u32,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// The largest timestamp so far.
    pub(super) timestamp: i64,
    /// The last offset of the batch that holds it, minus the segment's base offset.
    pub(super) relative: u32,
}

/// An entry of Kafka's transaction index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransactionEntry {
    /// Who aborted.
    pub(super) producer: i64,
    /// The first offset of the transaction.
    pub(super) first: i64,
    /// The last.
    pub(super) last: i64,
    /// The last stable offset then.
    pub(super) last_stable: i64,
}

/// The entries of an `.index` file, and how many bytes behind them are no entry. A file that Kafka still writes
/// is preallocated: an entry of zeros behind the first ends it.
pub(super) fn offsets(bytes: &[u8]) -> (Vec<OffsetEntry>, usize) {
    entries(bytes, |chunk: &[u8; 8]| {
        let [r0, r1, r2, r3, p0, p1, p2, p3] = *chunk;
        OffsetEntry {
            relative: u32::from_be_bytes([r0, r1, r2, r3]),
            position: u32::from_be_bytes([p0, p1, p2, p3]),
        }
    })
}

/// The entries of a `.timeindex` file, and how many bytes behind them are no entry.
pub(super) fn times(bytes: &[u8]) -> (Vec<TimeEntry>, usize) {
    entries(bytes, |chunk: &[u8; 12]| {
        let [t0, t1, t2, t3, t4, t5, t6, t7, r0, r1, r2, r3] = *chunk;
        TimeEntry {
            timestamp: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            relative: u32::from_be_bytes([r0, r1, r2, r3]),
        }
    })
}

/// The entries of a `.txnindex` file, and how many bytes behind them are no entry.
pub(super) fn transactions(bytes: &[u8]) -> (Vec<TransactionEntry>, usize) {
    entries(bytes, |chunk: &[u8; 34]| {
        let number = |at: usize| {
            let field = chunk.get(at..at + 8).and_then(|field| field.try_into().ok());
            i64::from_be_bytes(field.unwrap_or_default())
        };
        TransactionEntry {
            producer: number(2),
            first: number(10),
            last: number(18),
            last_stable: number(26),
        }
    })
}

fn entries<const N: usize, E>(bytes: &[u8], decode: impl Fn(&[u8; N]) -> E) -> (Vec<E>, usize) {
    let (chunks, rest) = bytes.as_chunks::<N>();
    let is_spare = |chunk: &[u8; N]| chunk.iter().all(|byte| *byte == 0);
    // Zeros are an entry in the first place only: the first batch lies at byte 0.
    let spare = chunks.iter().skip(1).rev().take_while(|chunk| is_spare(chunk)).count();
    let good = chunks.get(..chunks.len() - spare).unwrap_or_default();
    (good.iter().map(decode).collect(), spare * N + rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_where_zeros_begin() {
        let mut bytes = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 19, 0, 0, 1, 0].to_vec();
        let entry = |relative, position| OffsetEntry { relative, position };
        assert_eq!(offsets(&bytes), (vec![entry(9, 0), entry(19, 256)], 0));
        bytes.extend([0; 18]);
        assert_eq!(offsets(&bytes), (vec![entry(9, 0), entry(19, 256)], 18));
        assert_eq!(offsets(&[0; 8]), (vec![entry(0, 0)], 0));
    }
}
