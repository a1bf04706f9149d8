//! A sender through hundreds of random happenings, each with its answers late, lost or wrong: `N=` takes more such lives,
//! `SEED=` begins elsewhere.
//!
//! Whenever the sender sleeps, nothing that could be sent is left lying, and it wakes when the next thing is due; the scan that
//! would find what was forgotten is switched off but for moments. In the end all is well again, and then every record has
//! its outcome: what was acknowledged is stored, in order and once.

use super::journal::Counts;
use super::world::World;

/// What happens in a life before all is well again.
const STEPS: usize = 600;

/// From so many lives on, each of these has happened: else the run has shown nothing.
const LIVES_MIN: u64 = 100;
const MUST_HAPPEN: &[&str] = &[
    "request lost",
    "answer lost",
    "leader resigned",
    "hint",
    "batch refused",
    "fenced producer epoch",
    "out of order sequence",
    "not stored, and nobody knows",
    "maybe stored, and nobody knows",
    "memory full",
    "flushed",
    "leader moved",
    "metadata refreshed",
    "refresh failed",
    "connection ended",
    "connected",
    "connection refused",
    "memory wanted",
    "identified",
    "no identity",
    "topic replaced",
    "topic missing",
    "topic forgotten",
    "topic back",
    "expired",
    "acknowledged",
    "told as not stored",
];

/// One life, and what happened in it.
fn live(seed: u64) -> (Vec<String>, Counts) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::random(seed);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.mend();
        world.settle().await;
        world.check_logs();
        world.check_rest();
        let (acknowledged, absent) = (world.acknowledged.len(), world.absent.len());
        let journal = &mut world.brokers.journal;
        let mut counts = std::mem::take(&mut journal.counts);
        counts.insert("acknowledged", acknowledged.try_into().unwrap());
        counts.insert("told as not stored", absent.try_into().unwrap());
        (std::mem::take(&mut journal.lines), counts)
    })
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn whatever_happens_nothing_that_could_be_sent_is_left_lying_and_all_is_told_truly() {
    let (first, lives) = (from_environment("SEED", 0), from_environment("N", 200));
    let mut happened = Counts::new();
    for seed in first..first + lives {
        for (what, count) in live(seed).1 {
            *happened.entry(what).or_default() += count;
        }
    }
    println!("{lives} lives: {happened:?}");
    for what in MUST_HAPPEN.iter().filter(|_| lives >= LIVES_MIN) {
        assert!(happened.get(what).is_some_and(|count| *count > 0), "vacuous: never {what}");
    }
}

#[test]
fn a_seed_is_one_history() {
    assert_eq!(live(7).0, live(7).0);
}
