//! Which partition a record goes to: the one it names, the one its key hashes to, or the one that
//! records without a key stick to for the time of a batch.

use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg_protocol::PartitionIndex;
use thalweg_protocol::murmur2::murmur2;

/// The partition of `key` among `count`: murmur2 without its sign, modulo `count`, as in any language.
pub(crate) fn of_key(key: &[u8], count: usize) -> usize {
    let hash = usize::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    hash.checked_rem(count).unwrap_or(0)
}

/// The number of a partition as an index.
pub(crate) fn index(partition: PartitionIndex, count: usize) -> Option<usize> {
    usize::try_from(partition.get()).ok().filter(|index| *index < count)
}

/// Where records without a key go: to one partition until its batch is closed, then to another, so that
/// batches become large and partitions equally full.
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    current: AtomicUsize,
}

impl Sticky {
    pub(crate) fn current(&self, count: usize) -> usize {
        let current = self.current.load(Ordering::Relaxed);
        if current < count { current } else { 0 }
    }

    /// Moves on, to the one of two random others with the shorter backlog: so a broker that is slow or
    /// gone does not gather what it cannot take.
    pub(crate) fn switch(&self, count: usize, backlog: impl Fn(usize) -> usize) -> usize {
        let current = self.current(count);
        if count < 2 {
            return current;
        }
        let other = || (current + fastrand::usize(1..count)) % count;
        let (one, two) = (other(), other());
        let next = if backlog(two) < backlog(one) { two } else { one };
        self.current.store(next, Ordering::Relaxed);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_kafkas_java_client_sends_them() {
        // murmur2("foobar") = -790332482; without its sign 1357151166.
        assert_eq!(of_key(b"foobar", 3), 1_357_151_166 % 3);
        assert_eq!(of_key(b"21", 7), 1_173_551_340 % 7);
        assert_eq!(of_key(b"any", 1), 0);
    }

    #[test]
    fn a_switch_goes_elsewhere_and_avoids_the_longer_backlog() {
        let sticky = Sticky::default();
        let mut seen = [0; 4];
        for _ in 0..4000 {
            let before = sticky.current(4);
            let next = sticky.switch(4, |index| usize::from(index == 3) * 9);
            assert_ne!(next, before);
            assert_eq!(next, sticky.current(4));
            seen[next] += 1;
        }
        assert!(seen[..3].iter().all(|count| *count > 800), "{seen:?}");
        assert!(seen[3] < 800, "{seen:?}");
        assert_eq!(sticky.switch(1, |_| 0), 0);
    }
}
