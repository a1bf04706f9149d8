//! What lives: a disk, a log directory, and whatever is done there.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use fastrand::Rng;
use thalweg_storage::fs::sim::{Crash, SimDisk, Survivors};
use thalweg_storage::{DirState, LogDir};

use super::seen::Counts;
use super::verdict::Verdict;

/// How long lives are, and how often something is planned to happen in one. Of a hundred lives, those below the first
/// number get the first thing, those below the second the second, and so on.
#[derive(Debug)]
pub(crate) struct Odds {
    /// Which sync or write from the start of a life on is met.
    pub(crate) nth: Range<u64>,
    pub(crate) crash_at_sync: u8,
    pub(crate) crash_at_write: u8,
    pub(crate) fail_sync: u8,
    pub(crate) fail_write: u8,
    /// Steps of a random life.
    pub(crate) steps: Range<u32>,
    /// Steps of a life that is crashed at every sync in turn, and of the short one afterwards.
    pub(crate) steps_at_every_sync: u32,
    pub(crate) steps_afterwards: u32,
}

/// A world that can be started and crashed.
pub(crate) trait Life: Sized {
    /// What it counts.
    type Seen: Counts;
    const ODDS: Odds;

    fn new(seed: u64) -> Self;
    fn disk(&self) -> &SimDisk;
    fn open_dir(&self) -> Option<&Arc<LogDir>>;
    fn rng(&mut self) -> &mut Rng;
    fn seen(&self) -> Self::Seen;
    /// Tells a step and where the logs stand then, if somebody wants to understand a seed.
    fn trace(&self, step: &str);

    /// One random thing that a broker may do.
    fn step(&mut self) -> Verdict;
    /// Holds everything that can be read against what must be there.
    fn check(&mut self) -> Verdict;
    /// Opens everything. False when the machine went down meanwhile.
    fn try_start(&mut self) -> Verdict<bool>;
    /// Everything that the process held is gone.
    fn stop(&mut self);
    /// A clean stop, unless something that was planned comes in between.
    fn stop_cleanly(&mut self) -> Verdict;
    /// Takes note of a start that did not succeed.
    fn note_failed_start(&mut self) {}
    /// Takes note of why a life ended.
    fn note_stop(&mut self) {}
    /// Takes note of a kill, in which the page cache was kept whole or lost what a failed sync had left.
    fn note_kill(&mut self, is_whole: bool);

    /// Whether only a restart helps.
    fn is_stopped(&self) -> bool {
        let offline = |dir: &Arc<LogDir>| matches!(dir.state(), DirState::Offline { .. });
        self.disk().is_down() || self.open_dir().is_none_or(offline)
    }

    /// An operation may fail when the machine is down or the directory failed; else it must not.
    fn settle<T, E: Display>(&self, what: &str, result: Result<T, E>) -> Verdict<Option<T>> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(_) if self.is_stopped() => Ok(None),
            Err(error) => Err(format!("{what} failed without a reason: {error}")),
        }
    }

    /// Opens everything, as often as it takes when the power is planned to go meanwhile, and checks it.
    fn start(&mut self) -> Verdict {
        self.disk().set_capacity(None);
        for _ in 0..20 {
            if self.try_start()? {
                self.trace("started");
                return self.check();
            }
            self.stop();
            let crash = Crash::seeded(self.rng().u64(..));
            self.disk().crash(crash);
            self.note_failed_start();
            self.plan_crash_while_starting();
        }
        Err("twenty starts did not succeed".to_owned())
    }

    /// The power goes again while recovery writes.
    fn plan_crash_while_starting(&mut self) {
        if self.rng().u8(0..6) == 0 {
            let nth = self.rng().u64(1..8);
            self.disk().crash_at_sync(nth);
        }
    }

    /// The power goes; then a start.
    fn crash(&mut self, crash: Crash) -> Verdict {
        self.stop();
        self.disk().crash(crash);
        self.plan_crash_while_starting();
        self.start()
    }

    /// The power goes, and leaves anything; then a start.
    fn crash_anyhow(&mut self) -> Verdict {
        let crash = Crash::seeded(self.rng().u64(..));
        let crash = match self.rng().u8(0..10) {
            0 => crash.leaving(Survivors::Nothing),
            1 => crash.leaving(Survivors::Everything),
            _ => crash,
        };
        self.crash(crash)
    }

    /// The process is killed and the page cache stays; then a start.
    fn kill(&mut self) -> Verdict {
        self.stop();
        let evicted = self.disk().stats().sectors_evicted;
        self.disk().kill();
        let is_whole = evicted == self.disk().stats().sectors_evicted;
        self.note_kill(is_whole);
        self.plan_crash_while_starting();
        self.start()
    }
}
