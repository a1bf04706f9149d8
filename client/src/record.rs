//! A record on its way in.

use thalweg_protocol::{PartitionIndex, TimestampMs};

/// A record to publish. It borrows what it carries: [`Producer::send`](crate::Producer::send) copies
/// straight into the partition's open batch, and nothing is allocated for it (except for the list of
/// headers, if there are any).
///
/// ```
/// use thalweg_client::Record;
///
/// let record = Record::to("events").key("net-7").value(b"{}").header("trace", b"4711");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a record is sent by `Producer::send`"]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<PartitionIndex>,
    pub(crate) timestamp: Option<TimestampMs>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl<'a> Record<'a> {
    /// An empty record for `topic`: no key, no value (which deletes the key in a compacted topic), no
    /// headers; the timestamp is when it is sent.
    pub fn to(topic: &'a (impl AsRef<str> + ?Sized)) -> Self {
        Self {
            topic: topic.as_ref(),
            partition: None,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// Records with the same key go to the same partition (murmur2, as Kafka's Java client does).
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// What the record says.
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Adds a header; order and duplicates are kept.
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.headers.push((name, Some(value.as_ref())));
        self
    }

    /// Adds a header without a value.
    pub fn header_null(mut self, name: &'a str) -> Self {
        self.headers.push((name, None));
        self
    }

    /// When the event happened, in milliseconds since 1970 (UTC).
    pub const fn timestamp(mut self, timestamp: TimestampMs) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Chooses the partition, whatever the key says.
    pub fn partition(mut self, partition: impl Into<Partition>) -> Self {
        self.partition = Some(partition.into().0);
        self
    }
}

/// A partition's number where one may be written as a literal or as [`PartitionIndex`].
#[derive(Clone, Copy, Debug)]
pub struct Partition(pub(crate) PartitionIndex);

impl From<i32> for Partition {
    fn from(number: i32) -> Self {
        Self(PartitionIndex::new(number))
    }
}

impl From<PartitionIndex> for Partition {
    fn from(partition: PartitionIndex) -> Self {
        Self(partition)
    }
}
