//! What goes wrong, and how often it did.

use std::collections::{BTreeMap, VecDeque};

/// One thing that goes wrong with a produce request or one partition of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The connection ends before anything is appended.
    CutBefore,
    /// The connection ends after the append, before the answer.
    CutAfter,
    /// *Overloaded*: nothing was done.
    Overloaded,
    /// *Not the leader*, and another broker leads from now on.
    Moved,
    /// *Outcome unknown*, and it was appended.
    UnknownAppended,
    /// *Outcome unknown*, and it was not.
    UnknownLost,
    /// *Too few in-sync replicas after the append*.
    NotEnoughAfter,
    /// The answer comes late, after those to later requests.
    Late,
    /// The whole request is refused: *overloaded* in the header.
    RefusedWhole,
    /// The records are refused for good.
    Invalid,
    /// The broker has forgotten the producer.
    Forgotten,
}

/// Chances by kind, or a script that is followed first.
pub struct Faults {
    random: fastrand::Rng,
    chances: Vec<(Fault, f64)>,
    script: VecDeque<Option<Fault>>,
    pub happened: BTreeMap<Fault, usize>,
    /// So many are left.
    pub budget: usize,
}

impl Faults {
    pub fn none() -> Self {
        Self {
            random: fastrand::Rng::with_seed(0),
            chances: Vec::new(),
            script: VecDeque::new(),
            happened: BTreeMap::new(),
            budget: usize::MAX,
        }
    }

    pub fn random(seed: u64, chances: &[(Fault, f64)], budget: usize) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            chances: chances.to_vec(),
            budget,
            ..Self::none()
        }
    }

    /// What happens to the next partitions of produce requests, one after another.
    pub fn script(script: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self { script: script.into_iter().collect(), ..Self::none() }
    }

    pub fn next(&mut self) -> Option<Fault> {
        let fault = match self.script.pop_front() {
            Some(scripted) => scripted,
            None => self.draw(),
        }?;
        *self.happened.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn draw(&mut self) -> Option<Fault> {
        if self.budget == 0 {
            return None;
        }
        let mut drawn = self.random.f64();
        for (fault, chance) in &self.chances {
            if drawn < *chance {
                self.budget -= 1;
                return Some(*fault);
            }
            drawn -= chance;
        }
        None
    }

    pub fn delay_ms(&mut self) -> u64 {
        self.random.u64(1..6)
    }
}
