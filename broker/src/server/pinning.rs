//! What one connection's unsent answers keep on the disk: segments that were deleted meanwhile.
//!
//! While there is room nobody minds a slow reader. Under low space its connection is closed after two seconds without
//! progress: the space of what it holds is needed, and its client can ask again.

use std::collections::VecDeque;
use std::time::Duration;

use thalweg_storage::Hold;
use tokio::time::Instant;

/// Without progress for so long, needed space is taken back.
pub(super) const PINNED_MAX: Duration = Duration::from_secs(2);

/// How often it is looked at after that.
const LOOK: Duration = Duration::from_millis(500);

/// The segments that unsent answers are slices of.
#[derive(Debug)]
pub(super) struct Pinning {
    /// Each with the place of its answer's end among all bytes that this connection sends.
    holds: VecDeque<(u64, Hold)>,
    pushed: u64,
    written: u64,
    /// When something was last sent, or began to wait.
    progressed: Instant,
    /// When it was last looked at.
    looked: Instant,
}

impl Pinning {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { holds: VecDeque::new(), pushed: 0, written: 0, progressed: now, looked: now }
    }

    /// An answer of `bytes` waits to be sent.
    pub(super) fn push(&mut self, bytes: usize, holds: impl IntoIterator<Item = Hold>) {
        if self.pushed == self.written {
            self.progressed = Instant::now();
        }
        self.pushed += bytes as u64;
        let end = self.pushed;
        self.holds.extend(holds.into_iter().map(|hold| (end, hold)));
    }

    /// The socket took so many bytes more.
    pub(super) fn written(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.progressed = Instant::now();
        while self.holds.pop_front_if(|(end, _)| *end <= self.written).is_some() {}
    }

    /// When to look whether needed space is held; never while nothing is.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let look = (self.progressed + PINNED_MAX).max(self.looked + LOOK);
        (!self.holds.is_empty()).then_some(look)
    }

    /// Whether needed space has been held for too long.
    pub(super) fn is_due(&mut self) -> bool {
        self.looked = Instant::now();
        self.looked >= self.progressed + PINNED_MAX
            && self.holds.iter().any(|(_, hold)| hold.pins_needed_space())
    }
}
