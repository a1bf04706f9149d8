//! The one place of this package that reads the time.

use std::time::{Duration, Instant};

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started(Instant);

impl Started {
    /// Begins to count.
    #[expect(clippy::disallowed_methods, reason = "the package's one clock file")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
