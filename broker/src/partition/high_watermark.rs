//! The position below which every record is committed.

use thalweg_protocol::Offset;

/// How durably a topic's records must be held before they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On stable storage: positions are synced ends.
    Synced,
    /// In the memory of every in-sync replica: positions are log ends.
    Replicated,
}

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The offset after its last record.
    pub log_end: Offset,
    /// The offset after its last record on stable storage; never above the log end.
    pub synced_end: Offset,
}

impl Ends {
    /// A replica that holds nothing, as far as one knows.
    pub const NOTHING: Self = Self { log_end: Offset::ZERO, synced_end: Offset::ZERO };

    /// The end that counts in a topic of this durability.
    pub const fn counted(self, durability: Durability) -> Offset {
        match durability {
            Durability::Synced => self.synced_end,
            Durability::Replicated => self.log_end,
        }
    }
}

/// The lowest of the ends that count, or none where no replica is in sync.
pub(super) fn lowest(ends: impl Iterator<Item = Ends>, durability: Durability) -> Option<Offset> {
    ends.map(|ends| ends.counted(durability)).min()
}
