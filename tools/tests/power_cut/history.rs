//! What the test itself knows: which records were sent, which were acknowledged where, which were read where.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use fastrand::Rng;
use thalweg_client::{ConsumedRecord, Delivered, Offset, PartitionIndex};
use tokio::sync::watch;

/// Records of a producer share so many keys; those of one key keep their order.
const KEYS: u64 = 8;

/// Which record it is: key and value follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub producer: u64,
    pub number: u64,
}

impl Id {
    pub fn key(self) -> String {
        format!("{}-{}", self.producer, self.number % KEYS)
    }

    /// Between 100 B and 1.5 kB that no codec can guess.
    pub fn value(self) -> String {
        let mut rng = Rng::with_seed(self.producer << 32 | self.number);
        let noise = (0..rng.usize(100..1500)).map(|_| rng.alphanumeric());
        format!("{}/{}/{}", self.producer, self.number, noise.collect::<String>())
    }

    /// The record that was read, if it is one of ours to the last byte.
    fn read_from(record: &ConsumedRecord) -> Option<Self> {
        let value = std::str::from_utf8(record.value.as_deref()?).ok()?;
        let mut parts = value.splitn(3, '/');
        let mut number = || parts.next()?.parse().ok();
        let id = Self { producer: number()?, number: number()? };
        let is_whole = value == id.value() && record.key.as_deref()? == id.key().as_bytes();
        is_whole.then_some(id)
    }
}

/// Where a record lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: &'static str,
    pub partition: PartitionIndex,
    pub offset: Offset,
}

#[derive(Default)]
struct Lists {
    /// The power is gone: nothing that is heard from now on was said before.
    is_over: bool,
    sent_bytes: usize,
    acknowledged_bytes: usize,
    acknowledged: BTreeMap<Place, Id>,
    seen: BTreeMap<Place, Id>,
}

/// One cycle's history.
pub struct History {
    lists: Mutex<Lists>,
    /// How many of the topic that counts.
    acknowledged: watch::Sender<u64>,
    counting: &'static str,
}

impl History {
    /// `counting` is the topic that [`History::reaches`] waits for.
    pub fn new(counting: &'static str) -> Self {
        Self { lists: Mutex::default(), acknowledged: watch::Sender::new(0), counting }
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap()
    }

    pub fn sending(&self, value: &str) {
        self.lists().sent_bytes += value.len();
    }

    pub fn acknowledged(&self, topic: &'static str, id: Id, bytes: usize, at: Delivered) {
        let place = Place { topic, partition: at.partition, offset: at.offset };
        let mut lists = self.lists();
        if lists.is_over {
            return;
        }
        lists.acknowledged_bytes += bytes;
        let other = lists.acknowledged.insert(place.clone(), id);
        assert_eq!(other, None, "{place:?} was acknowledged for two records, one of them {id:?}");
        drop(lists);
        if topic == self.counting {
            self.acknowledged.send_modify(|count| *count += 1);
        }
    }

    pub fn seen(&self, topic: &'static str, record: &ConsumedRecord) {
        let (place, id) = placed(topic, record);
        let mut lists = self.lists();
        if lists.is_over {
            return;
        }
        let other = lists.seen.insert(place.clone(), id);
        assert_eq!(other, None, "{place:?} was read twice");
    }

    /// Waits until so many records have been acknowledged.
    pub async fn reaches(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        acknowledged.wait_for(|reached| *reached >= count).await.unwrap();
    }

    /// The power goes now. Returns how many bytes of values are sent and not acknowledged.
    ///
    /// What the broker says later does not count. It could not say it without power; and the call that shuts the
    /// file system down can let an `fdatasync` that is under way succeed whose bytes are gone. A bare loop of
    /// `pwrite` and `fdatasync` on four files showed that in 14 of 200 runs.
    pub fn end(&self) -> usize {
        let mut lists = self.lists();
        lists.is_over = true;
        lists.sent_bytes - lists.acknowledged_bytes
    }

    pub fn acknowledged_of(&self, topic: &str) -> usize {
        self.lists().acknowledged.keys().filter(|place| place.topic == topic).count()
    }

    pub fn seen_count(&self) -> usize {
        self.lists().seen.len()
    }

    /// Acknowledged records of a topic that are not where they were acknowledged.
    pub fn lost(&self, topic: &str, read: &BTreeMap<Place, Id>) -> Vec<(Place, Id)> {
        missing(&self.lists().acknowledged, topic, read)
    }

    /// Records that somebody had read and that are gone or changed.
    pub fn unseen(&self, topic: &str, read: &BTreeMap<Place, Id>) -> Vec<(Place, Id)> {
        missing(&self.lists().seen, topic, read)
    }
}

fn missing(
    expected: &BTreeMap<Place, Id>,
    topic: &str,
    read: &BTreeMap<Place, Id>,
) -> Vec<(Place, Id)> {
    let ours = expected.iter().filter(|(place, _)| place.topic == topic);
    let gone = ours.filter(|(place, id)| read.get(place) != Some(id));
    gone.map(|(place, id)| (place.clone(), *id)).collect()
}

/// A record that was read, and where; fails when a byte of it is not what was sent.
pub fn placed(topic: &'static str, record: &ConsumedRecord) -> (Place, Id) {
    let place = Place { topic, partition: record.partition, offset: record.offset };
    let id = Id::read_from(record);
    (place.clone(), id.unwrap_or_else(|| panic!("{place:?} holds a record that nobody sent")))
}

/// Each record is there once, offsets have no gap, and of each key there is a beginning in the order sent.
pub fn check_order(read: &BTreeMap<Place, Id>) {
    let mut ids = HashSet::new();
    let mut next_of_key: BTreeMap<(&str, String), u64> = BTreeMap::new();
    let mut next_of_partition: BTreeMap<(&str, PartitionIndex), Offset> = BTreeMap::new();
    for (place, id) in read {
        assert!(
            ids.insert((place.topic, *id)),
            "{id:?} is there twice, the second time at {place:?}"
        );
        let expected =
            next_of_partition.entry((place.topic, place.partition)).or_insert(Offset::ZERO);
        assert_eq!(place.offset, *expected, "a gap before {place:?}");
        *expected = place.offset.next();
        let next = next_of_key.entry((place.topic, id.key())).or_insert(id.number % KEYS);
        assert_eq!(id.number, *next, "out of order at {place:?}");
        *next += KEYS;
    }
}
