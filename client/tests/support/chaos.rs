//! Random faults of a coordinator, and how often each has happened.

use std::collections::BTreeMap;

/// What goes wrong with requests about groups, each with the chance of one in so many; 0 is never.
pub struct Chaos {
    pub one_in: u8,
    random: fastrand::Rng,
    pub happened: BTreeMap<&'static str, usize>,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { one_in: 0, random: fastrand::Rng::with_seed(0), happened: BTreeMap::new() }
    }
}

impl Chaos {
    pub fn seeded(seed: u64, one_in: u8) -> Self {
        Self { one_in, random: fastrand::Rng::with_seed(seed), ..Self::default() }
    }

    pub fn draw(&mut self) -> Option<&'static str> {
        const KINDS: [&str; 8] =
            ["mute", "done and mute", "cut", "done and cut", "late", "twice", "moved", "fenced"];
        if self.one_in == 0 || self.random.u8(0..self.one_in) != 0 {
            return None;
        }
        let kind = self.random.choice(KINDS)?;
        *self.happened.entry(kind).or_default() += 1;
        Some(kind)
    }

    pub fn delay_ms(&mut self) -> u64 {
        self.random.u64(1..150)
    }
}
