//! Work that waits for the disk, done on a few threads at a time.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, ScopedJoinHandle};

/// Does `work` for each item, on at most `threads_max` threads, and waits for the last. The results come in the order of
/// the items. A panic in `work` goes on in the caller, which works itself, too: where the system gives no more threads,
/// there are fewer.
pub fn share_out<T: Sync, R: Send>(
    items: &[T],
    threads_max: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads_max.min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    // Each thread takes the next item when it is done with one: a large log does not hold up what stands behind it.
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::with_capacity(items.len().div_ceil(threads));
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return done };
            done.push((place, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let thread = |_| Builder::new().spawn_scoped(scope, take).ok();
        let threads: Vec<_> = (1..threads).map_while(thread).collect();
        let mut done = take();
        for thread in threads.into_iter().map(ScopedJoinHandle::join) {
            done.extend(thread.unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for threads in 0..9 {
            let items: Vec<u64> = (0..100).collect();
            let doubled: Vec<u64> = items.iter().map(|item| item * 2).collect();
            assert_eq!(share_out(&items, threads, |item| item * 2), doubled, "{threads} threads");
        }
        assert!(share_out(&[], 4, |item: &u64| *item).is_empty());
    }

    #[test]
    fn as_many_items_are_under_way_as_there_are_threads() {
        let all_there = Barrier::new(4);
        let led = share_out(&[0; 4], 4, |_| all_there.wait().is_leader());
        assert_eq!(led.into_iter().filter(|leads| *leads).count(), 1);
    }

    #[test]
    #[should_panic(expected = "of the third")]
    fn a_panic_goes_on_in_the_caller() {
        share_out(&[1, 2, 3], 2, |item| assert!(*item < 3, "of the third"));
    }
}
