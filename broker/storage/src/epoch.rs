//! Which leader epoch wrote which offsets of a log.
//!
//! ```text
//!     epoch 0        epoch 3     epoch 4
//!     |0 1 2 3 4 5 6|7 8 9 10 11|12 13 14      log end 15
//!      ^ start 0     ^ start 7   ^ start 12
//! ```
//!
//! Owns the table and its text file, laid out as Kafka's. An epoch gets its entry with its first batch, so
//! the table can always be rebuilt from the batches. Touches no disk.
//! Invariant: epochs and start offsets both rise strictly from entry to entry.

use std::fmt::Write as _;

use thalweg_protocol::{LeaderEpoch, Offset};

/// Where the batches of one leader epoch begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The base offset of its first batch, or the log start if that is later.
    pub start: Offset,
}

/// Where the batches of one leader epoch end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch of the log that is not above the one asked for. When the log begins with a later
    /// epoch, the one asked for.
    pub epoch: LeaderEpoch,
    /// The offset after the epoch's last record.
    pub end: Offset,
}

/// Why a batch or a file does not fit the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// A batch carries an epoch below the latest, or begins before the latest epoch does.
    #[error(
        "leader epoch {epoch} at offset {start} does not follow epoch {latest_epoch}, \
         which began at offset {latest_start}"
    )]
    Backwards {
        /// The batch's epoch.
        epoch: LeaderEpoch,
        /// The batch's base offset.
        start: Offset,
        /// The table's latest epoch.
        latest_epoch: LeaderEpoch,
        /// Where that one began.
        latest_start: Offset,
    },
    /// The file is not a text.
    #[error("leader-epoch-checkpoint: not a text in UTF-8")]
    NotText,
    /// A line is not what its place asks for.
    #[error("leader-epoch-checkpoint: line {line} should be {expected}, it is {found:?}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
        /// The line, empty when it is missing.
        found: String,
    },
    /// The second line announces another number of entries than follow.
    #[error("leader-epoch-checkpoint: {announced} entries announced, {found} found")]
    Count {
        /// The number in the second line.
        announced: usize,
        /// The number of entries that follow.
        found: usize,
    },
}

/// Leader epochs of one log with their first offsets, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochTable {
    entries: Vec<EpochStart>,
}

impl EpochTable {
    /// Bound of the file's size on reading, in bytes: some 40,000 changes of leader within the retained log.
    pub const FILE_BYTES_MAX: usize = 1 << 20;

    /// The table of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// The epoch of the last batch; `None` in an empty log.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Takes note of a batch; true when it began a new epoch, so that the file has to be written.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> Result<bool, EpochError> {
        if let Some(latest) = self.entries.last() {
            if epoch < latest.epoch || start < latest.start {
                return Err(EpochError::Backwards {
                    epoch,
                    start,
                    latest_epoch: latest.epoch,
                    latest_start: latest.start,
                });
            }
            if epoch == latest.epoch {
                return Ok(false);
            }
            if start == latest.start {
                // The latest epoch has no record: a cut took them all. Its entry must not stay beside
                // another one of the same offset.
                self.entries.pop();
            }
        }
        self.entries.push(EpochStart { epoch, start });
        Ok(true)
    }

    /// The epoch of the record at `offset`; `None` before the first entry. The caller knows that the offset
    /// is below the log end.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start <= offset);
        Some(self.entries.get(after.checked_sub(1)?)?.epoch)
    }

    /// Where the history of somebody whose last epoch is `wanted` may part from ours: the largest epoch not
    /// above it, and that epoch's end. `None` when the log holds no batch: nothing can be told, and
    /// nothing is shared but the log end.
    ///
    /// When the log begins with a later epoch (older ones are below the log start), the end is the first
    /// entry's start: what the asker has beyond it is not ours.
    pub fn epoch_end(&self, wanted: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let after = self.entries.partition_point(|entry| entry.epoch <= wanted);
        let end = self.entries.get(after).map_or(log_end, |next| next.start);
        match after.checked_sub(1).and_then(|at| self.entries.get(at)) {
            Some(entry) => Some(EpochEnd { epoch: entry.epoch, end }),
            None if self.entries.is_empty() => None,
            None => Some(EpochEnd { epoch: wanted, end }),
        }
    }

    /// Forgets epochs that begin at or above `end`, the new log end; true when there were any.
    pub fn truncate_to(&mut self, end: Offset) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start < end);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// Forgets epochs that end at or below `log_start`, and lets the one that holds it begin there; true
    /// when anything changed.
    ///
    /// When the whole log is deleted, the last epoch stays: followers still have to compare it.
    pub fn trim_below(&mut self, log_start: Offset) -> bool {
        let after = self.entries.partition_point(|entry| entry.start <= log_start);
        let Some(covering) = after.checked_sub(1) else { return false };
        self.entries.drain(..covering);
        match self.entries.first_mut() {
            Some(first) if first.start < log_start => {
                first.start = log_start;
                true
            }
            _ => covering > 0,
        }
    }

    /// The text of `leader-epoch-checkpoint`: version, count, then `epoch start` lines.
    pub fn encode(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            let written = writeln!(text, "{} {}", entry.epoch, entry.start);
            debug_assert!(written.is_ok(), "writing into a String cannot fail");
        }
        text
    }

    /// Reads the text of `leader-epoch-checkpoint`.
    pub fn decode(bytes: &[u8]) -> Result<Self, EpochError> {
        let text = std::str::from_utf8(bytes).map_err(|_| EpochError::NotText)?;
        let mut lines = text.lines();
        let version = lines.next().unwrap_or_default();
        if version != "0" {
            return Err(line_error(1, "version 0", version));
        }
        let count = lines.next().unwrap_or_default();
        let announced: usize =
            count.parse().map_err(|_| line_error(2, "the number of entries", count))?;
        let mut table = Self::new();
        for (at, line) in lines.enumerate() {
            let entry = entry(line)
                .ok_or_else(|| line_error(at + 3, "an epoch and its start offset", line))?;
            let EpochStart { epoch, start } = entry;
            if let Some(latest) = table.entries.last()
                && (epoch <= latest.epoch || start <= latest.start)
            {
                return Err(line_error(at + 3, "a later epoch with a larger offset", line));
            }
            table.entries.push(entry);
        }
        match table.entries.len() {
            found if found == announced => Ok(table),
            found => Err(EpochError::Count { announced, found }),
        }
    }
}

fn line_error(line: usize, expected: &'static str, found: &str) -> EpochError {
    // A damaged file may be one line of a megabyte.
    EpochError::Line { line, expected, found: found.chars().take(80).collect() }
}

/// Reads `epoch start`; neither may be negative.
fn entry(line: &str) -> Option<EpochStart> {
    let (epoch, start) = line.split_once(' ')?;
    let (epoch, start): (i32, i64) = (epoch.parse().ok()?, start.parse().ok()?);
    (epoch >= 0 && start >= 0)
        .then(|| EpochStart { epoch: LeaderEpoch::new(epoch), start: Offset::new(start) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(i32, i64)]) -> EpochTable {
        let mut table = EpochTable::new();
        for &(epoch, start) in entries {
            assert_eq!(table.assign(LeaderEpoch::new(epoch), Offset::new(start)), Ok(true));
        }
        table
    }

    fn pairs(table: &EpochTable) -> Vec<(i32, i64)> {
        table.entries().iter().map(|entry| (entry.epoch.get(), entry.start.get())).collect()
    }

    fn end(table: &EpochTable, wanted: i32, log_end: i64) -> Option<(i32, i64)> {
        table
            .epoch_end(LeaderEpoch::new(wanted), Offset::new(log_end))
            .map(|found| (found.epoch.get(), found.end.get()))
    }

    #[test]
    fn an_epoch_gets_its_entry_with_its_first_batch_only() {
        let mut table = table(&[(0, 0), (3, 7)]);
        assert_eq!(table.assign(LeaderEpoch::new(3), Offset::new(9)), Ok(false));
        assert_eq!(pairs(&table), [(0, 0), (3, 7)]);
    }

    #[test]
    fn an_older_epoch_or_an_earlier_offset_is_refused() {
        let mut table = table(&[(0, 0), (3, 7)]);
        let error = table.assign(LeaderEpoch::new(2), Offset::new(9)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "leader epoch 2 at offset 9 does not follow epoch 3, which began at offset 7"
        );
        assert!(table.assign(LeaderEpoch::new(4), Offset::new(6)).is_err());
    }

    #[test]
    fn an_epoch_without_records_gives_way_to_the_next() {
        let mut table = table(&[(0, 0), (3, 7)]);
        assert_eq!(table.assign(LeaderEpoch::new(4), Offset::new(7)), Ok(true));
        assert_eq!(pairs(&table), [(0, 0), (4, 7)]);
    }

    #[test]
    fn the_end_of_an_epoch_is_where_the_next_begins() {
        let table = table(&[(1, 0), (3, 7), (4, 12)]);
        assert_eq!(end(&table, 1, 15), Some((1, 7)));
        assert_eq!(end(&table, 2, 15), Some((1, 7)), "an epoch that we never had");
        assert_eq!(end(&table, 3, 15), Some((3, 12)));
        assert_eq!(end(&table, 4, 15), Some((4, 15)), "the latest ends with the log");
        assert_eq!(end(&table, 9, 15), Some((4, 15)), "later than all");
        assert_eq!(end(&table, 0, 15), Some((0, 0)), "earlier than all");
        assert_eq!(end(&EpochTable::new(), 4, 15), None);
    }

    #[test]
    fn the_epoch_of_an_offset_is_the_last_that_began_at_or_below_it() {
        let table = table(&[(1, 2), (3, 7)]);
        let at = |offset| table.epoch_at(Offset::new(offset)).map(LeaderEpoch::get);
        assert_eq!(
            [at(1), at(2), at(6), at(7), at(99)],
            [None, Some(1), Some(1), Some(3), Some(3)]
        );
    }

    #[test]
    fn truncation_forgets_epochs_at_and_above_the_cut() {
        let mut cut = table(&[(1, 0), (3, 7), (4, 12)]);
        assert!(!cut.truncate_to(Offset::new(13)));
        assert!(cut.truncate_to(Offset::new(12)));
        assert_eq!(pairs(&cut), [(1, 0), (3, 7)]);
        assert!(cut.truncate_to(Offset::ZERO));
        assert_eq!(pairs(&cut), []);
    }

    #[test]
    fn trimming_moves_the_covering_epoch_to_the_log_start() {
        let mut trimmed = table(&[(1, 0), (3, 7), (4, 12)]);
        assert!(!trimmed.trim_below(Offset::ZERO));
        assert!(trimmed.trim_below(Offset::new(9)));
        assert_eq!(pairs(&trimmed), [(3, 9), (4, 12)]);
        assert!(trimmed.trim_below(Offset::new(12)));
        assert_eq!(pairs(&trimmed), [(4, 12)]);
        assert!(trimmed.trim_below(Offset::new(99)), "the last epoch outlives its records");
        assert_eq!(pairs(&trimmed), [(4, 99)]);
    }

    #[test]
    fn the_file_reads_back() {
        for entries in [&[][..], &[(0, 0)], &[(1, 0), (3, 7), (i32::MAX, i64::MAX)]] {
            let table = table(entries);
            assert_eq!(EpochTable::decode(table.encode().as_bytes()), Ok(table));
        }
        assert_eq!(table(&[(1, 0), (3, 7)]).encode(), "0\n2\n1 0\n3 7\n");
    }

    #[test]
    fn a_damaged_file_says_which_line() {
        let error = |text: &[u8]| EpochTable::decode(text).unwrap_err().to_string();
        assert!(error(b"").contains("line 1 should be version 0"));
        assert!(error(b"1\n0\n").contains("line 1 should be version 0, it is \"1\""));
        assert!(error(b"0\nx\n").contains("line 2"));
        assert!(error(b"0\n2\n1 0\n").contains("2 entries announced, 1 found"));
        assert!(error(b"0\n0\n1 0\n").contains("0 entries announced, 1 found"));
        assert!(error(b"0\n1\n1 -4\n").contains("line 3"));
        assert!(error(b"0\n2\n3 7\n3 8\n").contains("line 4"));
        assert!(error(b"0\n2\n3 7\n4 7\n").contains("line 4"));
    }

    /// The seven ways in which two histories can part, after KIP-279 and its TLA+ description: the follower asks
    /// for its last epoch, cuts at the lesser of the answer and its own end of the answered epoch,
    /// and asks again until the histories match.
    #[test]
    fn repeated_lookups_find_the_last_shared_record_in_every_history() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..20_000 {
            // A shared history, then each side alone; each record is its epoch, and sides never share an
            // epoch that they wrote apart.
            let mut shared: Vec<i32> = Vec::new();
            let mut epoch = 0;
            for _ in 0..random.usize(0..6) {
                epoch += i32::from(random.bool());
                shared.push(epoch);
            }
            let (mut leader, mut follower) = (shared.clone(), shared.clone());
            for step in 0..random.i32(0..8) {
                let side = if random.bool() { &mut leader } else { &mut follower };
                for _ in 0..random.usize(1..4) {
                    side.push(epoch + 1 + step);
                }
            }
            // The leader leads with the largest epoch.
            leader.push(epoch + 20);
            let from = |log: &[i32]| {
                let mut table = EpochTable::new();
                for (at, epoch) in log.iter().enumerate() {
                    let at = Offset::new(i64::try_from(at).unwrap());
                    table.assign(LeaderEpoch::new(*epoch), at).unwrap();
                }
                (table, i64::try_from(log.len()).unwrap())
            };
            let (ours, our_end) = from(&leader);
            let mut questions = 0;
            loop {
                let (theirs, their_end) = from(&follower);
                let Some(last) = theirs.latest() else { break };
                questions += 1;
                assert!(questions < 20, "round {round} does not end: {leader:?} {follower:?}");
                let answer = ours.epoch_end(last, Offset::new(our_end)).unwrap();
                let own = theirs.epoch_end(answer.epoch, Offset::new(their_end)).unwrap();
                let cut = answer.end.min(own.end);
                if cut.get() == their_end && answer.epoch == last {
                    break;
                }
                follower.truncate(usize::try_from(cut.get()).unwrap());
            }
            assert_eq!(follower, leader[..follower.len()], "round {round}");
            assert!(follower.len() >= shared.len(), "round {round}: shared records were cut");
        }
    }
}
