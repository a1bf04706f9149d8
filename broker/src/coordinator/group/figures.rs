//! What is counted of one group while it is looked after here.

use std::time::Duration;

use crate::base::Monotonic;

/// A minute, in pieces.
const PIECES: usize = 6;
const PIECE_MS: u128 = 10_000;

/// What is counted of one group; begun anew when its shard is loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// How often its partitions were shared out anew.
    pub(super) rebalances: u64,
    /// Offsets committed, ever.
    pub(super) commits: u64,
    /// How long partitions were without an owner while members were there, all together.
    stall: Duration,
    /// How many are without now, and since when that is counted in.
    unowned: u32,
    since: Monotonic,
    /// Commits of the last pieces of time, the newest first.
    recent: [u64; PIECES],
    /// Which piece of time the newest is.
    piece: u128,
}

impl Figures {
    /// Nothing is counted before `now`.
    pub(super) const fn begin(&mut self, now: Monotonic) {
        self.since = now;
    }

    /// From now on so many partitions are without an owner.
    pub(super) fn unowned(&mut self, count: usize, now: Monotonic) {
        self.stall = self.stall(now);
        self.since = now;
        self.unowned = u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// How long partitions were without an owner, up to now.
    pub(super) fn stall(&self, now: Monotonic) -> Duration {
        self.stall.saturating_add(now.since(self.since).saturating_mul(self.unowned))
    }

    /// Offsets were committed.
    pub(super) fn committed(&mut self, count: u64, now: Monotonic) {
        self.turn(now);
        self.commits += count;
        if let Some(newest) = self.recent.first_mut() {
            *newest += count;
        }
    }

    /// Offsets committed during the last minute, the piece of time under way included.
    pub(super) fn commits_per_minute(&mut self, now: Monotonic) -> u64 {
        self.turn(now);
        self.recent.iter().sum()
    }

    fn turn(&mut self, now: Monotonic) {
        let piece = now.get().as_millis() / PIECE_MS;
        let passed = piece.saturating_sub(self.piece);
        let passed = usize::try_from(passed).unwrap_or(PIECES).min(PIECES);
        self.recent.rotate_right(passed);
        self.recent.iter_mut().take(passed).for_each(|count| *count = 0);
        self.piece = piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_forgotten_after_a_minute() {
        let mut figures = Figures::default();
        let at = |seconds: u64| Monotonic::from_ms(seconds * 1_000);
        figures.committed(3, at(5));
        figures.committed(4, at(25));
        assert_eq!(figures.commits_per_minute(at(50)), 7);
        assert_eq!(figures.commits_per_minute(at(61)), 4);
        assert_eq!(figures.commits_per_minute(at(500)), 0);
        assert_eq!(figures.commits, 7);
    }

    #[test]
    fn stall_counts_each_partition_without_an_owner() {
        let mut figures = Figures::default();
        figures.begin(Monotonic::from_ms(100));
        figures.unowned(2, Monotonic::from_ms(100));
        figures.unowned(1, Monotonic::from_ms(150));
        figures.unowned(0, Monotonic::from_ms(160));
        assert_eq!(figures.stall(Monotonic::from_ms(900)), Duration::from_millis(110));
    }
}
