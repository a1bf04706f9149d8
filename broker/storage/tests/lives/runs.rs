//! Many lives, by `N` and `SEED`, and what must have happened in them.

use std::env;
use std::panic::{self, AssertUnwindSafe};

use thalweg_storage::defects::{Defect, plant};
use thalweg_storage::fs::sim::SimStats;

use super::life::Life;
use super::schedule;
use super::seen::Counts;
use super::verdict::Verdict;

/// A number from the environment: `N`, `SEED`.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What happened in all runs together.
#[derive(Debug)]
pub(crate) struct Total<S> {
    pub(crate) stats: SimStats,
    pub(crate) seen: S,
    /// So many crashes were wanted; none when one seed was run alone.
    wanted: Option<u64>,
}

impl<S: Counts> Total<S> {
    pub(crate) fn new(wanted: Option<u64>) -> Self {
        Self { stats: SimStats::default(), seen: S::default(), wanted }
    }

    pub(crate) fn add(&mut self, world: &impl Life<Seen = S>) {
        self.stats += world.disk().stats();
        self.seen += world.seen();
    }

    fn is_enough(&self) -> bool {
        self.wanted.is_none_or(|wanted| self.stats.crashes >= wanted)
    }

    /// A run in which something never happened proves nothing about it, but for what is named in `never`. So few
    /// crashes as one seed has do not come by everything. Says whether there were enough.
    pub(crate) fn assert_not_vacuous(&self, never: &[&str]) -> bool {
        if self.wanted.is_none_or(|wanted| wanted < 1_000) {
            return false;
        }
        eprintln!("{self:#?}");
        let missing = self.seen.missing().into_iter().filter(|name| !never.contains(name));
        let missing: Vec<_> = missing.collect();
        assert!(missing.is_empty(), "vacuous: never happened: {missing:?}");
        true
    }
}

/// Half of `N` crashes, or of 10,000; none when `SEED` names one run.
fn wanted() -> Option<u64> {
    let crashes = number("N").unwrap_or(10_000).div_ceil(2);
    number("SEED").is_none().then_some(crashes)
}

/// Random lives with crashes anywhere, seed after seed.
pub(crate) fn random_lives<W: Life>() -> Total<W::Seen> {
    let mut total = Total::new(wanted());
    let mut seed = number("SEED").unwrap_or(1);
    loop {
        let mut world = W::new(seed);
        let verdict = schedule::lives(&mut world);
        total.add(&world);
        if let Err(error) = verdict {
            let nth = world.disk().stats().crashes;
            panic!("SEED={seed}, after crash {nth}: {error}");
        }
        if total.is_enough() {
            return total;
        }
        seed += 1;
    }
}

/// One life, as often as it has syncs, with the power going at each of them in turn; seed after seed.
pub(crate) fn a_crash_at_every_sync<W: Life>() -> Total<W::Seen> {
    let mut total = Total::new(wanted());
    let mut seed = number("SEED").unwrap_or(1);
    loop {
        let syncs = schedule::syncs_of(W::new(seed));
        let syncs = syncs.unwrap_or_else(|error| panic!("SEED={seed}, without a crash: {error}"));
        for nth in 1..=syncs {
            let mut world = W::new(seed);
            let verdict = schedule::crash_at_sync(&mut world, nth);
            total.add(&world);
            if let Err(error) = verdict {
                panic!("SEED={seed}, crashed at sync {nth} of {syncs}: {error}");
            }
        }
        if total.is_enough() {
            return total;
        }
        seed += 1;
    }
}

/// The seeds of the runs that have to catch a defect; all of them pass without one.
const SEEDS: u64 = 200;

/// Fails unless one of the first seeds notices the defect; says which.
pub(crate) fn assert_caught<W: Life>(defect: Defect, run: impl Fn(&mut W) -> Verdict) {
    let _planted = plant(defect);
    for seed in 1..=SEEDS {
        let mut world = W::new(seed);
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| run(&mut world)));
        let verdict = verdict.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map_or("an assertion", String::as_str);
            Err(text.to_owned())
        });
        if let Err(why) = verdict {
            let crashes = world.disk().stats().crashes;
            eprintln!("{defect}: caught by seed {seed} after {crashes} crashes: {why}");
            return;
        }
    }
    panic!("{defect} was not caught by {SEEDS} seeds");
}
