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
mod tests;
