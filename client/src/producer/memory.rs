//! The bound on what waits for the brokers.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::clock::Instant;

/// Bytes that may be held, and those who wait for some.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes_max: usize,
    used: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Memory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Takes `bytes` if they are there. When nothing is used, any amount is: one batch always fits.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        // Nothing is taken for a moment only: somebody else would miss it and not be woken.
        let take = |used: usize| {
            let after = used.checked_add(bytes)?;
            (used == 0 || after <= self.bytes_max).then_some(after)
        };
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    pub(crate) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// Whether somebody waits: then no batch should.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Repeats `attempt` whenever memory was freed, until it gives something or the deadline passes.
    /// `announce` is called once this task counts as waiting.
    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        announce: impl Fn(),
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Registered before the look, so that nothing freed in between is missed.
            freed.as_mut().enable();
            if let Some(taken) = attempt() {
                return Some(taken);
            }
            announce();
            timeout_at(deadline, freed).await.ok()?;
        }
    }
}

/// Counts a waiting task for as long as it waits, also when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::now;

    #[test]
    fn the_bound_holds_but_one_batch_always_fits() {
        let memory = Memory::new(100);
        assert!(memory.try_take(500));
        assert!(!memory.try_take(1));
        memory.give(500);
        assert!(memory.try_take(60) && memory.try_take(40) && !memory.try_take(1));
        assert_eq!(memory.used(), 100);
    }

    #[tokio::test]
    async fn who_waits_is_woken_when_memory_is_freed_and_gives_up_at_the_deadline() {
        let memory = Arc::new(Memory::new(100));
        assert!(memory.try_take(100));
        let soon = now() + Duration::from_millis(20);
        let none = memory.wait_for(soon, || (), || memory.try_take(1).then_some(()));
        assert_eq!(none.await, None);
        assert!(!memory.is_wanted());
        let other = memory.clone();
        let waiting = tokio::spawn(async move {
            let late = now() + Duration::from_secs(30);
            let attempt = || other.try_take(50).then_some(());
            other.wait_for(late, || (), attempt).await
        });
        while !memory.is_wanted() {
            tokio::task::yield_now().await;
        }
        memory.give(60);
        assert_eq!(waiting.await.unwrap(), Some(()));
        assert_eq!(memory.used(), 90);
    }
}
