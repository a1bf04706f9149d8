//! Whether a log directory lets a write pass: its state, its free space, its clean mark.

use std::io;

use super::error::DirRefusal;
use super::open::LogDir;
use super::state::{DirState, FULL, MARKED, OFFLINE};
use crate::defects::{self, Defect};

impl LogDir {
    /// Its state now.
    pub fn state(&self) -> DirState {
        self.gate.state()
    }

    /// Whether it failed; one load.
    #[inline]
    pub fn is_offline(&self) -> bool {
        self.gate.closed() & OFFLINE != 0
    }

    /// Calls `subscriber` after every change of state, in order. It must be quick, and must not change the
    /// state of this directory itself.
    pub fn subscribe(&self, subscriber: Box<dyn Fn(&DirState) + Send + Sync>) {
        self.gate.subscribe(subscriber);
    }

    /// To be asked before every write to a log: one load when all is well. The first call after a clean
    /// stop removes the clean mark, durably.
    #[inline]
    pub fn before_write(&self) -> Result<(), DirRefusal> {
        match self.gate.closed() {
            0 => Ok(()),
            closed => self.pass(closed, FULL | OFFLINE),
        }
    }

    /// To be asked before anything is deleted or cut: as [`before_write`](Self::before_write), but goes on
    /// when the disk is full.
    pub fn before_delete(&self) -> Result<(), DirRefusal> {
        self.pass(self.gate.closed(), OFFLINE)
    }

    #[cold]
    fn pass(&self, closed: u8, refused: u8) -> Result<(), DirRefusal> {
        if closed & refused != 0
            && let Some(refusal) = self.refusal(refused)
        {
            return Err(refusal);
        }
        if closed & MARKED != 0 && !defects::planted(Defect::KeepCleanMark) {
            self.remove_clean_mark()?;
        }
        Ok(())
    }

    pub(super) fn refusal(&self, refused: u8) -> Option<DirRefusal> {
        let dir = self.path.clone();
        match self.gate.state() {
            DirState::Offline { reason } => {
                Some(DirRefusal::Offline { dir, reason: reason.to_string() })
            }
            DirState::ReadOnly { free } if refused & FULL != 0 => {
                let (floor, resume) = (self.options.free_bytes_min, self.resume_bytes());
                Some(DirRefusal::StorageFull { dir, free, floor, resume })
            }
            _ => None,
        }
    }

    /// Takes the directory offline, for good: a sync, write or read failed. What was written since the last
    /// sync may be lost, whatever a later sync says.
    pub fn fail(&self, reason: &str) {
        self.gate.change(&DirState::Offline { reason: reason.into() });
    }

    /// An operation on a file of this directory failed: a full disk makes it read-only (true), everything
    /// else takes it offline (false).
    pub fn failed(&self, what: &str, error: &io::Error) -> bool {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let free = self.fs.space(&self.path).map_or(0, |space| space.free);
            self.gate.change(&DirState::ReadOnly { free });
            return true;
        }
        self.fail(&format!("{what}: {error}"));
        false
    }

    /// Asks for the free space and changes the state by it; to be called every few seconds. The answer is
    /// the free bytes, unless the disk does not answer: then the directory is offline.
    pub fn check_space(&self) -> Option<u64> {
        let free = match self.fs.space(&self.path) {
            Ok(space) => space.free,
            Err(error) => {
                self.fail(&format!("cannot ask for free space: {error}"));
                return None;
            }
        };
        match self.gate.state() {
            DirState::Online if free < self.options.free_bytes_min => {
                self.gate.change(&DirState::ReadOnly { free });
            }
            DirState::ReadOnly { .. } if free > self.resume_bytes() => {
                self.reserve.fill(&*self.fs);
                self.gate.change(&DirState::Online);
            }
            DirState::ReadOnly { .. } => {
                self.gate.change(&DirState::ReadOnly { free });
            }
            DirState::Online | DirState::Offline { .. } => {}
        }
        Some(free)
    }

    /// Above so many free bytes writing resumes: a little more than the floor, so that it does not flap.
    fn resume_bytes(&self) -> u64 {
        let floor = self.options.free_bytes_min;
        floor.saturating_add(floor / 10)
    }
}
