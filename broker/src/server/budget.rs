//! Bytes that all connections together may hold of something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes of which parts are taken and given back.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: usize,
    taken: AtomicUsize,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// With so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, taken: AtomicUsize::new(0) })
    }

    /// How many bytes there are in all.
    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// How many bytes are taken now.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether something is left.
    pub(crate) fn has_room(&self) -> bool {
        self.taken() < self.bytes_max
    }

    /// A part of so many bytes, if that is left.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Part> {
        let room = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Part { budget: Arc::clone(self), bytes })
    }

    /// A part of so many bytes, also when less is left: whoever asks first whether there is room goes past it by one part.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Part {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Part { budget: Arc::clone(self), bytes }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_given_back_and_what_is_not_there_is_not_given() {
        let budget = Budget::new(10);
        let first = budget.try_take(7).unwrap();
        assert!(budget.try_take(4).is_none());
        assert!(budget.try_take(usize::MAX).is_none());
        let second = budget.take(5);
        assert!(!budget.has_room());
        assert_eq!(budget.taken(), 12);
        drop(first);
        assert!(budget.has_room() && budget.try_take(5).is_some());
        drop(second);
        assert!(budget.try_take(10).is_some());
    }
}
