//! Proves the coordinator's pure core: random lives of groups, each rule by itself, and what is written down.
//!
//! `sim` joins the real [`thalweg_broker::coordinator::Groups`] with clients that join, leave, pause longer than their
//! session, restart and commit late, over a network that delays, doubles and loses, while topics grow and vanish and the
//! coordinator is read back from its records, sometimes without the last of them. After every step it holds the promises
//! in `checks` against what clients really do. One seed is one history; `SEED=7` runs it again, with `N=50` the fifty
//! from there on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod checks;
mod client;
mod defects;
mod limits;
mod network;
mod records;
mod rules;
mod sim;
mod world;

/// A number from the environment: `N`, `SEED`.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn random_lives_of_groups_keep_every_promise() {
    let first = number("SEED");
    let count = number("N").unwrap_or(if first.is_some() { 1 } else { 2_000 });
    let first = first.unwrap_or(0);
    let threads = 2;
    let totals: Vec<sim::Totals> = std::thread::scope(|scope| {
        let run = |thread: u64| {
            move || {
                let mut totals = sim::Totals::default();
                for seed in (first..first + count).filter(|seed| seed % threads == thread) {
                    if let Err(wrong) = sim::run(seed, &mut totals) {
                        panic!("SEED={seed}: {wrong}");
                    }
                }
                totals
            }
        };
        let spawned: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        let joined = spawned.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|totals| totals.expect("a history went wrong; see above")).collect()
    });
    let mut all = sim::Totals::default();
    for totals in &totals {
        all.add(totals);
    }
    eprintln!("{all:?}");
    if count >= 100 {
        all.assert_not_vacuous();
    }
}
