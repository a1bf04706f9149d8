//! A bounded number of places, of which the oldest makes room for the newest: strangers who say nothing would else keep
//! everybody out for as long as they are waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Places for connections, such as those that have not finished their handshake.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// The number of the next one.
    next: u64,
    /// What wakes each, the oldest first.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// How many are kept; they are not among those.
    kept: usize,
}

impl Places {
    /// At most `max` at once.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, under_way: Mutex::default() })
    }

    /// A place for one more, given back when it is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Place {
        let evicted = Arc::new(Notify::new());
        let number = Mutex::new(self.insert(&evicted));
        Place { number, places: Arc::clone(self), evicted }
    }

    /// Puts one behind all others; says its number.
    fn insert(&self, evicted: &Arc<Notify>) -> u64 {
        let mut under_way = self.under_way();
        let number = under_way.next;
        under_way.next += 1;
        under_way.waiting.insert(number, Arc::clone(evicted));
        if under_way.waiting.len() > self.max
            && let Some((_, oldest)) = under_way.waiting.pop_first()
        {
            oldest.notify_one();
        }
        number
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place.
#[derive(Debug)]
pub(crate) struct Place {
    number: Mutex<u64>,
    places: Arc<Places>,
    evicted: Arc<Notify>,
}

impl Place {
    /// Ends when the place is needed for another.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The place is not given to others before this is dropped, and then it is the newest; unless as many are kept as
    /// there are places.
    pub(crate) fn keep(&self) -> Kept<'_> {
        let number = *self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let mut under_way = self.places.under_way();
        let kept = under_way.kept < self.places.max && under_way.waiting.remove(&number).is_some();
        under_way.kept += usize::from(kept);
        Kept { place: kept.then_some(self) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let number = *self.number.lock().unwrap_or_else(PoisonError::into_inner);
        self.places.under_way().waiting.remove(&number);
    }
}

/// A place that is not given to others for a while.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    /// Nothing when it is not kept, or was given to another already.
    place: Option<&'a Place>,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let number = place.places.insert(&place.evicted);
            place.places.under_way().kept -= 1;
            *place.number.lock().unwrap_or_else(PoisonError::into_inner) = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Once a thousand silent connections kept everybody else out for the ten seconds that they were waited for.
    #[tokio::test]
    async fn the_oldest_makes_room_for_the_newest() {
        let places = Places::new(2);
        let (first, second) = (places.begin(), places.begin());
        assert!(first.evicted().now_or_never().is_none());
        let third = places.begin();
        assert!(first.evicted().now_or_never().is_some());
        drop((first, second));
        let _fourth = places.begin();
        assert!(third.evicted().now_or_never().is_none(), "the second has given its place back");
    }

    #[tokio::test]
    async fn a_place_that_is_kept_is_not_given_away_and_is_the_newest_afterwards() {
        let places = Places::new(2);
        let (first, second) = (places.begin(), places.begin());
        let kept = first.keep();
        let third = places.begin();
        assert!(second.evicted().now_or_never().is_none(), "there is room beside what is kept");
        drop(kept);
        assert!(first.evicted().now_or_never().is_none());
        assert!(second.evicted().now_or_never().is_some());
        drop((first.keep(), second));
        let _fourth = places.begin();
        assert!(third.evicted().now_or_never().is_some());
        assert!(first.evicted().now_or_never().is_none());
    }
}
