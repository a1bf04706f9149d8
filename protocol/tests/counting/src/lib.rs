//! A global allocator that counts, so that a test can bound what a piece of code allocates.
//!
//! Counts each thread apart: what other tests do at the same time does not disturb. Counts all of them together as well, for
//! a server whose threads nobody can ask. Never changes what the system's allocator does.
//!
//! ```
//! use thalweg_counting::{Counting, measure};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let (_, heap) = measure(|| vec![0_u8; 1000]);
//! assert_eq!((heap.allocations, heap.bytes_peak), (1, 1000));
//! ```
#![expect(unsafe_code, reason = "a global allocator cannot be written in safe Rust")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counted; to be declared as the test binary's `#[global_allocator]`.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

/// What a piece of code asked of the allocator, on its own thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// How often memory was asked for; growing a piece counts as well.
    pub allocations: usize,
    /// The most bytes that it held at one time, over what was held before.
    pub bytes_peak: usize,
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES_LIVE: Cell<isize> = const { Cell::new(0) };
    static BYTES_PEAK: Cell<isize> = const { Cell::new(0) };
}

/// How often memory was asked for, by all threads.
static ALL_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` and says how often all other threads asked for memory meanwhile.
pub fn measure_others<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let all_before = ALL_ALLOCATIONS.load(Ordering::SeqCst);
    let (result, own) = measure(work);
    let all = ALL_ALLOCATIONS.load(Ordering::SeqCst) - all_before;
    (result, all - own.allocations)
}

/// Runs `work` and says what it asked of the allocator; all zero unless [`Counting`] is the global one.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let before = (ALLOCATIONS.get(), BYTES_LIVE.get());
    BYTES_PEAK.set(before.1);
    let result = work();
    let heap = Heap {
        allocations: ALLOCATIONS.get() - before.0,
        bytes_peak: BYTES_PEAK.get().abs_diff(before.1),
    };
    (result, heap)
}

/// Counts a change of what is held. A thread that is ending counts no more.
fn count(allocations: usize, bytes: isize) {
    ALL_ALLOCATIONS.fetch_add(allocations, Ordering::SeqCst);
    let _ = ALLOCATIONS.try_with(|all| all.set(all.get() + allocations));
    let _ = BYTES_LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = BYTES_PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

/// A layout's size; the language bounds it by `isize::MAX`.
fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing, since the
// thread-locals are constants that need no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new piece may both be held while the content moves.
        count(1, signed(bytes));
        count(0, -signed(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(place, layout) }
    }
}
