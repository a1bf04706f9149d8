//! How fast a run may go.

use std::time::Duration;

use crate::base::Monotonic;

/// After so many bytes the throttle looks at the clock.
const PACE_BYTES: u64 = 64 * 1024;

/// How much a run has read and written.
#[derive(Debug)]
pub(super) struct Throttle {
    begun: Monotonic,
    spent: u64,
    /// What had been spent when the clock was looked at.
    looked: u64,
}

impl Throttle {
    pub(super) const fn new(begun: Monotonic) -> Self {
        Self { begun, spent: 0, looked: 0 }
    }

    /// So many bytes more were read or written. Says until when to wait, now and then.
    pub(super) fn spend(&mut self, bytes: u64, bytes_per_second_max: u64) -> Option<Monotonic> {
        self.spent += bytes;
        if self.spent - self.looked < PACE_BYTES {
            return None;
        }
        self.looked = self.spent;
        let ms = u128::from(self.spent) * 1000 / u128::from(bytes_per_second_max.max(1));
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        Some(self.begun.plus(Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_spreads_bytes_evenly() {
        let mut throttle = Throttle::new(Monotonic::from_ms(500));
        let mut spend = |bytes| throttle.spend(bytes, 1_000_000);
        assert_eq!(spend(1_000), None, "the clock is looked at now and then");
        assert_eq!(spend(249_000), Some(Monotonic::from_ms(750)));
        assert_eq!(spend(PACE_BYTES - 1), None);
        assert_eq!(spend(750_001 - PACE_BYTES), Some(Monotonic::from_ms(1500)));
    }
}
