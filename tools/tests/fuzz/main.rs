//! Throws mutated golden files at every decoder: what reads bytes from the wire or from a disk answers a value or an
//! error, takes memory in proportion to the bytes, and never panics.
//!
//! Each decoder starts from what this and other programs have really written (`protocol/tests/golden`,
//! `broker/storage/tests/golden`, `broker/tests/golden`), changes it by a seeded generator and, three times out of four,
//! mends the checksums, so that the change is not stopped at the door. `make fuzz SECONDS=60` gives each of them its
//! share of that time; in `make test` each gets a count, which `N` multiplies. `SEED` starts elsewhere. `docs/adr/0006-decoders-are-fuzzed-on-stable.md`
//! says why nothing is guided by coverage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod decoders;
mod mutate;
mod run;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use crate::decoders::Decoder;
use crate::run::{Budget, Found, run_all};
use crate::support::number;

#[global_allocator]
static ALLOCATOR: thalweg_counting::Counting = thalweg_counting::Counting;

/// How often each decoder runs in `make test`.
const EXECUTIONS: u64 = 20_000;

/// How often each decoder that opens whole folders runs in `make test`.
const FOLDER_EXECUTIONS: u64 = 300;

#[test]
fn no_input_breaks_a_decoder() {
    let budget = match number("FUZZ_SECONDS") {
        Some(seconds) => Budget::Time(Duration::from_secs(seconds)),
        None => Budget::Count {
            quick: EXECUTIONS * number("N").unwrap_or(1),
            folders: FOLDER_EXECUTIONS * number("N").unwrap_or(1),
        },
    };
    let decoders = decoders::all();
    let found = run_all(&decoders, budget, number("SEED").unwrap_or(1));
    support::say(&run::table(&found));
    let failures: Vec<&str> = found.iter().filter_map(|it| it.failure.as_deref()).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    for found in &found {
        let Found { name, taken, refused, .. } = found;
        assert!(*taken > 0 && *refused > 0, "vacuous: {name}: {taken} taken, {refused} refused");
    }
}

/// A decoder that trusts a count, as the planted mistake of this test.
fn trusting(bytes: &[u8]) -> bool {
    let count = usize::from(*bytes.first().unwrap_or(&0));
    bytes.len() < 2 || bytes[count % 16 + 1] > 0
}

#[test]
fn a_decoder_that_trusts_a_count_is_caught() {
    let decoder = Decoder::quick("trusting", vec![vec![3; 40]], |_| {}, trusting);
    let found = run_all(&[decoder], Budget::Count { quick: 20_000, folders: 0 }, 1);
    let failure = found[0].failure.as_deref().expect("vacuous: the planted mistake was not found");
    assert!(failure.contains("trusting") && failure.contains("SEED=1"), "{failure}");
}
