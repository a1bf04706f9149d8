//! Records that are chained: each names the hash of the one before it in its partition, so a record that is missing,
//! swapped or changed shows.

/// The hash before a partition's first record.
pub const ROOT: u64 = 0x7468_616c_7765_6721;

/// The hash of the record `number` of a partition that follows `before`.
pub const fn hash(before: u64, partition: i32, number: u64) -> u64 {
    let mut mixed = before ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (partition as u64) << 48;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A partition's records as they are published.
#[derive(Clone, Debug)]
pub struct Chain {
    partition: i32,
    number: u64,
    before: u64,
}

impl Chain {
    pub const fn new(partition: i32) -> Self {
        Self { partition, number: 0, before: ROOT }
    }

    /// The next record's value: its number, the hash before it, and its own.
    pub fn next(&mut self) -> String {
        let own = hash(self.before, self.partition, self.number);
        let value = format!("{} {:016x} {own:016x}", self.number, self.before);
        (self.number, self.before) = (self.number + 1, own);
        value
    }
}
