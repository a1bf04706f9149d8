//! The options of a consumer: what it reads, from where, and how far ahead.

use std::time::Duration;

use thalweg_protocol::{Offset, PartitionIndex, TimestampMs, TopicName};

use super::Consumer;
use super::group::GroupOptions;
use crate::client::Client;
use crate::config::{duration, in_range};
use crate::error::{ConfigError, ConsumeError};
use crate::record::Partition;

/// Where to begin to read a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record that is still there.
    Earliest,
    /// After the last record: only what comes from now on.
    Latest,
    /// At this offset.
    Offset(Offset),
    /// At the first record with this timestamp or a later one; at the end if there is none.
    Time(TimestampMs),
    /// At the first record that is at most so old; at the end if there is none.
    Ago(Duration),
    /// Where the group has committed; an error if it has not. Needs [`ConsumerBuilder::group`].
    Committed,
}

/// What to do when the wanted offset is not in the log (any more).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutOfRange {
    /// Say so, with the range that the log holds, and stop reading the partition until a seek.
    #[default]
    Fail,
    /// Go on at the first record that is there.
    Earliest,
    /// Go on after the last record.
    Latest,
}

/// What to do when bytes of the log are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCorrupt {
    /// Say so, with the next good offset, and stop reading the partition until a seek.
    #[default]
    Fail,
    /// Go on at the next good offset; each skip is logged as a warning.
    Skip,
}

/// One partition to read.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    pub(crate) topic: TopicName,
    /// None stands for all partitions, also those that are added later.
    pub(crate) partition: Option<PartitionIndex>,
    pub(crate) start: StartAt,
}

/// What a consumer reads and how far ahead.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerOptions {
    pub(crate) assigned: Vec<Assigned>,
    pub(crate) prefetch_bytes_max: usize,
    pub(crate) fetch_bytes_max: usize,
    pub(crate) partition_bytes_max: usize,
    pub(crate) fetch_bytes_min: usize,
    pub(crate) fetch_wait_max: Duration,
    pub(crate) inflated_bytes_max: usize,
    pub(crate) on_out_of_range: OnOutOfRange,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) stop_at_end: bool,
    pub(crate) check_crcs: bool,
    pub(crate) group: GroupOptions,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            assigned: Vec::new(),
            prefetch_bytes_max: 64 * 1024 * 1024,
            fetch_bytes_max: 16 * 1024 * 1024,
            partition_bytes_max: 2 * 1024 * 1024,
            fetch_bytes_min: 1,
            fetch_wait_max: Duration::from_millis(500),
            inflated_bytes_max: 128 * 1024 * 1024,
            on_out_of_range: OnOutOfRange::Fail,
            on_corrupt: OnCorrupt::Fail,
            stop_at_end: false,
            check_crcs: true,
            group: GroupOptions::default(),
        }
    }
}

impl ConsumerOptions {
    fn check(&self) -> Result<(), ConfigError> {
        self.group.check(!self.assigned.is_empty())?;
        if self.assigned.is_empty() && self.group.subscription.is_none() {
            return Err(ConfigError::NothingAssigned);
        }
        for (index, one) in self.assigned.iter().enumerate() {
            let earlier = self.assigned.iter().take(index);
            let twice = |other: &Assigned| {
                other.topic == one.topic
                    && (other.partition == one.partition
                        || other.partition.is_none()
                        || one.partition.is_none())
            };
            if earlier.filter(|other| twice(other)).count() > 0 {
                return Err(ConfigError::AssignedTwice {
                    topic: one.topic.to_string(),
                    partition: one.partition.unwrap_or(PartitionIndex::new(0)),
                });
            }
        }
        let max = u64::from(u32::MAX);
        let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        in_range("prefetch_bytes_max", bytes(self.prefetch_bytes_max), 1024, u64::MAX)?;
        in_range("fetch_bytes_max", bytes(self.fetch_bytes_max), 1024, max)?;
        in_range("partition_bytes_max", bytes(self.partition_bytes_max), 1024, max)?;
        in_range("fetch_bytes_min", bytes(self.fetch_bytes_min), 1, bytes(self.fetch_bytes_max))?;
        in_range("inflated_bytes_max", bytes(self.inflated_bytes_max), 1024, u64::MAX)?;
        duration("fetch_wait_max", self.fetch_wait_max, 0)
    }
}

/// Makes a [`Consumer`].
///
/// ```no_run
/// # async fn example(client: thalweg_client::Client) -> Result<(), thalweg_client::ConsumeError> {
/// use thalweg_client::{Offset, StartAt};
///
/// let mut consumer = client
///     .consumer()
///     .topic("events", StartAt::Earliest)
///     .assign([("orders", 0, StartAt::Offset(Offset::new(40)))])
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`build` makes the consumer"]
pub struct ConsumerBuilder {
    client: Client,
    pub(super) options: ConsumerOptions,
    /// The first mistake, told by `build`.
    mistake: Option<ConfigError>,
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, options: ConsumerOptions::default(), mistake: None }
    }

    /// Reads all partitions of `topic`, also those that are added later (these from their first record).
    pub fn topic(mut self, topic: impl AsRef<str>, start: StartAt) -> Self {
        self.add(topic.as_ref(), None, start);
        self
    }

    /// Reads these partitions.
    pub fn assign<T, P>(mut self, partitions: impl IntoIterator<Item = (T, P, StartAt)>) -> Self
    where
        T: AsRef<str>,
        P: Into<Partition>,
    {
        for (topic, partition, start) in partitions {
            self.add(topic.as_ref(), Some(partition.into().0), start);
        }
        self
    }

    fn add(&mut self, topic: &str, partition: Option<PartitionIndex>, start: StartAt) {
        match TopicName::new(topic) {
            Ok(topic) => self.options.assigned.push(Assigned { topic, partition, start }),
            Err(error) => self.mistaken(error.into()),
        }
    }

    pub(super) fn mistaken(&mut self, mistake: ConfigError) {
        self.mistake.get_or_insert(mistake);
    }

    /// How far to read ahead, in bytes as stored; default 64 MiB. One batch may pass it.
    pub const fn prefetch_bytes_max(mut self, bytes: usize) -> Self {
        self.options.prefetch_bytes_max = bytes;
        self
    }

    /// The most that one fetch answers, in bytes; default 16 MiB. A first batch that is larger comes
    /// whole.
    pub const fn fetch_bytes_max(mut self, bytes: usize) -> Self {
        self.options.fetch_bytes_max = bytes;
        self
    }

    /// The most that one fetch answers for one partition, in bytes; default 2 MiB.
    pub const fn partition_bytes_max(mut self, bytes: usize) -> Self {
        self.options.partition_bytes_max = bytes;
        self
    }

    /// The broker waits until so many bytes are there; default 1.
    pub const fn fetch_bytes_min(mut self, bytes: usize) -> Self {
        self.options.fetch_bytes_min = bytes;
        self
    }

    /// But no longer than this; default 500 ms.
    pub const fn fetch_wait_max(mut self, wait: Duration) -> Self {
        self.options.fetch_wait_max = wait;
        self
    }

    /// The most that one compressed batch may take when it is inflated, in bytes; default 128 MiB.
    pub const fn inflated_bytes_max(mut self, bytes: usize) -> Self {
        self.options.inflated_bytes_max = bytes;
        self
    }

    /// What to do when the wanted offset is not in the log; default is to say so.
    pub const fn on_out_of_range(mut self, policy: OnOutOfRange) -> Self {
        self.options.on_out_of_range = policy;
        self
    }

    /// What to do when bytes of the log are damaged; default is to say so.
    pub const fn on_corrupt(mut self, policy: OnCorrupt) -> Self {
        self.options.on_corrupt = policy;
        self
    }

    /// Whether each batch's checksum is verified; default yes.
    pub const fn check_crcs(mut self, check: bool) -> Self {
        self.options.check_crcs = check;
        self
    }

    /// Ends the stream when it has reached the ends that the logs have when the consumer is built. In a group it ends
    /// when everything that is assigned has reached the end that it had when it was assigned.
    pub const fn stop_at_end(mut self) -> Self {
        self.options.stop_at_end = true;
        self
    }

    /// Checks the options, finds the partitions and where to begin in each, and starts to read ahead.
    pub async fn build(self) -> Result<Consumer, ConsumeError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake.into());
        }
        self.options.check()?;
        Consumer::start(&self.client, self.options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(partition: Option<i32>) -> Assigned {
        Assigned {
            topic: TopicName::new("events").unwrap(),
            partition: partition.map(PartitionIndex::new),
            start: StartAt::Earliest,
        }
    }

    #[test]
    fn nothing_and_the_same_twice_are_refused() {
        let mut options = ConsumerOptions::default();
        assert_eq!(options.check(), Err(ConfigError::NothingAssigned));
        options.assigned = vec![assigned(Some(0)), assigned(Some(1))];
        assert_eq!(options.check(), Ok(()));
        options.assigned.push(assigned(None));
        assert!(matches!(options.check(), Err(ConfigError::AssignedTwice { .. })));
    }
}
