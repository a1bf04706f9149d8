//! The bytes of one file: as the process sees them, and as the disk holds them.
//!
//! Invariants: a sector that is neither dirty nor lost is the same in both, up to the shorter length.

use std::collections::{BTreeMap, BTreeSet};

use super::crash::Dice;
use super::stats::SimStats;

/// The smallest unit that a disk writes in one step.
pub(super) const SECTOR_BYTES: usize = 512;

/// The unit of the page cache, and of blocks.
pub(super) const PAGE_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync, each with the number of its last write.
    dirty: BTreeMap<usize, u64>,
    /// Sectors that a failed sync marked clean: live only, and no sync will write them.
    lost: BTreeSet<usize>,
    writes: u64,
    /// Blocks are there up to here, whatever the length.
    reserved: usize,
    flights_begun: u64,
    newest_landed: u64,
}

/// What a sync writes: the dirty bytes as they were when it began.
pub(super) struct Flight {
    number: u64,
    length: usize,
    sectors: Vec<(usize, u64, Vec<u8>)>,
}

impl Content {
    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// Bytes of the blocks that the file takes when it reaches up to `end`.
    pub(super) fn blocks_up_to(&self, end: usize) -> usize {
        let end = end.max(self.live.len()).max(self.reserved);
        end.next_multiple_of(PAGE_BYTES)
    }

    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let end = position + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[position..end].copy_from_slice(bytes);
        self.soil(position, end);
    }

    pub(super) fn set_length(&mut self, length: usize) {
        let before = self.live.len();
        self.live.resize(length, 0);
        self.reserved = 0;
        if length < before {
            self.soil(length, before.max(self.durable.len()));
        }
    }

    pub(super) fn reserve(&mut self, end: usize) {
        self.reserved = self.reserved.max(end);
    }

    fn soil(&mut self, from: usize, to: usize) {
        self.writes += 1;
        for sector in from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES) {
            self.dirty.insert(sector, self.writes);
            self.lost.remove(&sector);
        }
    }

    pub(super) fn begin_sync(&mut self) -> Flight {
        self.flights_begun += 1;
        let sectors = self.dirty.iter();
        let sectors = sectors
            .map(|(&sector, &write)| (sector, write, sector_of(&self.live, sector).to_vec()))
            .collect();
        Flight { number: self.flights_begun, length: self.live.len(), sectors }
    }

    /// The sync succeeded. One that began earlier and ends later brings nothing new: what is dirty stays
    /// so until a sync has ended, so the later one took all of it along.
    pub(super) fn land(&mut self, flight: &Flight) {
        if flight.number < self.newest_landed {
            return;
        }
        self.newest_landed = flight.number;
        self.durable.resize(flight.length, 0);
        for (sector, write, bytes) in &flight.sectors {
            lay(&mut self.durable, sector * SECTOR_BYTES, SECTOR_BYTES, bytes);
            if self.dirty.get(sector) == Some(write) {
                self.dirty.remove(sector);
            }
        }
    }

    /// The sync failed: the pages that it took count as clean from now on, and never reach the disk.
    pub(super) fn lose(&mut self, flight: &Flight, stats: &mut SimStats) {
        for (sector, write, _) in &flight.sectors {
            if self.dirty.get(sector) == Some(write) {
                self.dirty.remove(sector);
                self.lost.insert(*sector);
                stats.sectors_lost_by_failed_sync += 1;
            }
        }
    }

    /// Drops lost sectors from the page cache: the process reads what the disk holds.
    pub(super) fn evict(&mut self, mut chooses: impl FnMut() -> bool, stats: &mut SimStats) {
        for sector in self.lost.iter().copied().filter(|_| chooses()) {
            let held = sector_of(&self.durable, sector).to_vec();
            lay(&mut self.live, sector * SECTOR_BYTES, SECTOR_BYTES, &held);
            stats.sectors_evicted += 1;
        }
    }

    /// Flips a bit on the disk and in the cache; says whether there was such a byte.
    pub(super) fn flip(&mut self, position: usize, bit: u8) -> bool {
        let mask = 1 << (bit % 8);
        let there = position < self.live.len();
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(position) {
                *byte ^= mask;
            }
        }
        there
    }

    pub(super) fn crash(&mut self, dice: &mut Dice, stats: &mut SimStats) {
        let (durable, live) = (self.durable.len(), self.live.len());
        let length = dice.length(durable, live);
        if live != durable && length == durable {
            stats.lengths_dropped += 1;
        } else if length != live {
            stats.lengths_between += 1;
        }
        let mut left = self.durable.clone();
        left.resize(durable.max(live), 0);
        let kept = self.surviving_units(dice, stats);
        let last = kept.last().copied();
        let unit_bytes = dice.unit_sectors * SECTOR_BYTES;
        for unit in kept {
            let bytes = if Some(unit) == last { dice.torn_at(unit_bytes) } else { unit_bytes };
            stats.pages_torn += u64::from(bytes < unit_bytes);
            for sector in unit * dice.unit_sectors..(unit + 1) * dice.unit_sectors {
                let start = (sector - unit * dice.unit_sectors) * SECTOR_BYTES;
                if bytes > start && self.dirty.contains_key(&sector) {
                    let taken = (bytes - start).min(SECTOR_BYTES);
                    let new = sector_of(&self.live, sector);
                    lay(&mut left, sector * SECTOR_BYTES, taken, new);
                }
            }
        }
        left.resize(length, 0);
        if !dice.keeps_reserve() {
            self.reserved = 0;
        }
        self.live.clone_from(&left);
        self.durable = left;
        self.dirty.clear();
        self.lost.clear();
    }

    fn surviving_units(&self, dice: &mut Dice, stats: &mut SimStats) -> Vec<usize> {
        let mut units: Vec<usize> = self.dirty.keys().map(|at| at / dice.unit_sectors).collect();
        units.dedup();
        let all = units.len();
        units.retain(|_| dice.keeps_page());
        stats.pages_kept += count(units.len());
        stats.pages_dropped += count(all - units.len());
        units
    }
}

/// The bytes of a sector; fewer where the file ends.
fn sector_of(bytes: &[u8], sector: usize) -> &[u8] {
    let start = (sector * SECTOR_BYTES).min(bytes.len());
    let end = (start + SECTOR_BYTES).min(bytes.len());
    &bytes[start..end]
}

/// Lays `source`, with zeros behind it, over `bytes` bytes of `target`, as far as the target reaches.
fn lay(target: &mut [u8], at: usize, bytes: usize, source: &[u8]) {
    let start = at.min(target.len());
    let end = (at + bytes).min(target.len());
    let mut new = source.iter().copied().chain(std::iter::repeat(0));
    target[start..end].fill_with(|| new.next().unwrap_or(0));
}

pub(super) fn count(items: usize) -> u64 {
    u64::try_from(items).expect("a count fits 64 bits")
}
