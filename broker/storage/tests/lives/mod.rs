//! Lives of a log on the simulated disk: what the crash tests have in common, whatever they do to their logs.
//!
//! Owns how a world is started, crashed, killed and stopped, when the power goes, how many lives are lived, and what makes
//! a run vacuous. What a step does and what must hold after it is the world's own.

mod life;
mod runs;
mod schedule;
mod seen;
mod verdict;

pub(crate) use life::{Life, Odds};
pub(crate) use runs::assert_caught;
#[allow(unused_imports, reason = "each harness takes what it needs")]
pub(crate) use runs::{Total, a_crash_at_every_sync, number, random_lives};
pub(crate) use schedule::lives;
pub(crate) use seen::{Counts, seen};
pub(crate) use verdict::{Verdict, ensure};
