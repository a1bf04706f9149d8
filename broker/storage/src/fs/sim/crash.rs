//! What a power cut leaves.

use fastrand::Rng;

use super::content::{PAGE_BYTES, SECTOR_BYTES};

/// Which of the changes that were not synced a crash keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// None of them.
    Nothing,
    /// All of them, except what a failed sync lost.
    Everything,
    /// Any subset, by the seed, and the last page torn.
    Any,
}

/// One power cut: all chance in it comes from its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    seed: u64,
    unit_bytes: Option<usize>,
    survivors: Survivors,
}

impl Crash {
    /// A crash that leaves any subset of what was not synced, in units of 512 B or 4 KiB.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, unit_bytes: None, survivors: Survivors::Any }
    }

    /// The same with what survives given.
    #[must_use]
    pub const fn leaving(self, survivors: Survivors) -> Self {
        Self { survivors, ..self }
    }

    /// The same in units of 512 B.
    #[must_use]
    pub const fn by_sectors(self) -> Self {
        Self { unit_bytes: Some(SECTOR_BYTES), ..self }
    }

    /// The same in units of 4 KiB.
    #[must_use]
    pub const fn by_pages(self) -> Self {
        Self { unit_bytes: Some(PAGE_BYTES), ..self }
    }

    pub(super) fn dice(&self) -> Dice {
        let mut rng = Rng::with_seed(self.seed);
        let by_seed = if rng.bool() { SECTOR_BYTES } else { PAGE_BYTES };
        let chances = match self.survivors {
            Survivors::Nothing => [0.0, 0.0],
            Survivors::Everything => [1.0, 1.0],
            Survivors::Any => [chance(&mut rng), chance(&mut rng)],
        };
        Dice {
            rng,
            unit_sectors: self.unit_bytes.unwrap_or(by_seed) / SECTOR_BYTES,
            page_chance: chances[0],
            entry_chance: chances[1],
            survivors: self.survivors,
        }
    }
}

/// Whole crashes differ in how much they keep: with one even chance for every page, a crash that keeps
/// all but one of twenty would never be tried.
fn chance(rng: &mut Rng) -> f64 {
    let chances = [0.0, 0.1, 0.5, 0.9, 1.0];
    rng.choice(chances).unwrap_or(0.5)
}

/// The choices of one crash.
pub(super) struct Dice {
    rng: Rng,
    pub(super) unit_sectors: usize,
    page_chance: f64,
    entry_chance: f64,
    survivors: Survivors,
}

impl Dice {
    pub(super) fn keeps_page(&mut self) -> bool {
        self.rng.f64() < self.page_chance
    }

    pub(super) fn keeps_entry(&mut self) -> bool {
        self.rng.f64() < self.entry_chance
    }

    /// How many of the last page's bytes are kept.
    pub(super) fn torn_at(&mut self, bytes: usize) -> usize {
        match self.survivors {
            Survivors::Any if self.rng.bool() => self.rng.usize(0..bytes),
            _ => bytes,
        }
    }

    /// The file's length after the crash.
    pub(super) fn length(&mut self, durable: usize, live: usize) -> usize {
        match self.survivors {
            Survivors::Nothing => durable,
            Survivors::Everything => live,
            Survivors::Any => match self.rng.u8(0..3) {
                0 => durable,
                1 => live,
                _ => self.rng.usize(durable.min(live)..=durable.max(live)),
            },
        }
    }

    /// Whether a preallocation survives.
    pub(super) fn keeps_reserve(&mut self) -> bool {
        self.rng.bool()
    }
}
