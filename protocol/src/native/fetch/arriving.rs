//! What an answer to a fetch tells while it is still on its way: where each of its partitions goes on.
//!
//! Looks at the heads of partitions and of batches only, each once, when its bytes are there. Checks no
//! more than it needs to go on: whoever believes it looks again at the whole answer.

use bytes::Bytes;

use super::EpochEnd;
use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::codec::{DecodeError, Reader};
use crate::native::{ApiError, LeaderHint, ResponseHeader, Wire};
use crate::{LeaderEpoch, Offset, PartitionIndex, TopicId};

/// What is looked at of a head at once, in bytes. One with a longer message is not looked through.
const HEAD_BYTES_MAX: usize = 512;

/// So few bytes are not worth waiting for: partitions of which nothing was read stand at the end.
const TAIL_BYTES: usize = 64 * 1024;

/// Where a partition goes on behind the records that are arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoesOn {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset after its last record.
    pub next: Offset,
    /// The epoch of its last record.
    pub epoch: LeaderEpoch,
}

/// What a look at an answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Too little has arrived.
    TooEarly,
    /// Where its partitions go on, in the order of the answer; those without records are left out.
    Known(Vec<GoesOn>),
    /// Nothing will be known before it is here.
    Hopeless,
}

/// Looks through one answer as it arrives.
#[derive(Debug)]
pub struct Arriving {
    /// All below is looked through; may lie ahead of what has arrived.
    at: usize,
    part: Part,
    topics_left: u32,
    partitions_left: u32,
    topic: TopicId,
    partition: PartitionIndex,
    known: Vec<GoesOn>,
}

/// What begins at [`Arriving::at`].
#[derive(Clone, Copy, Debug)]
enum Part {
    Header,
    Topic,
    Partition,
    Records { end: usize, last: Option<(Offset, LeaderEpoch)> },
}

impl Default for Arriving {
    fn default() -> Self {
        Self {
            at: 0,
            part: Part::Header,
            topics_left: 0,
            partitions_left: 0,
            topic: TopicId::NONE,
            partition: PartitionIndex::new(0),
            known: Vec::new(),
        }
    }
}

impl Arriving {
    /// Looks at what has arrived of a frame of `length` bytes, both without the length in front. After
    /// anything but [`Look::TooEarly`] there is no more to see.
    pub fn look(&mut self, arrived: &[u8], length: usize) -> Look {
        loop {
            let moved = match self.part {
                Part::Records { end, last } => self.records(arrived, length, end, last),
                _ => self.head(arrived, length),
            };
            if let Some(look) = moved {
                return look;
            }
        }
    }

    /// Goes over the head that is next; says what is seen if that is the end.
    fn head(&mut self, arrived: &[u8], length: usize) -> Option<Look> {
        let rest = arrived.get(self.at..).unwrap_or_default();
        let window = rest.get(..HEAD_BYTES_MAX).unwrap_or(rest);
        let mut reader = Reader::new(Bytes::copy_from_slice(window));
        match self.decode_head(&mut reader) {
            Ok(Some(records_bytes)) => {
                self.at += window.len() - reader.remaining();
                let end = self.at.saturating_add(records_bytes);
                self.part = Part::Records { end, last: None };
                (end > length).then_some(Look::Hopeless)
            }
            Ok(None) if self.topics_left == 0 && self.partitions_left == 0 => Some(Look::Hopeless),
            Ok(None) => {
                self.at += window.len() - reader.remaining();
                None
            }
            // It may only be cut off.
            Err(_) if window.len() < HEAD_BYTES_MAX => Some(Look::TooEarly),
            Err(_) => Some(Look::Hopeless),
        }
    }

    /// Decodes the head that is next; how many bytes of records follow, if it is a partition's.
    fn decode_head(&mut self, reader: &mut Reader) -> Result<Option<usize>, DecodeError> {
        let what = "FetchResponse";
        match self.part {
            Part::Header => {
                let header = ResponseHeader::decode(reader, what)?;
                self.topics_left = if header.error.is_none() { reader.u32(what)? } else { 0 };
                self.part = Part::Topic;
                Ok(None)
            }
            Part::Topic => {
                self.topic = TopicId::decode(reader, what)?;
                self.partitions_left = reader.u32(what)?;
                self.topics_left = self.topics_left.saturating_sub(1);
                self.part = if self.partitions_left == 0 { Part::Topic } else { Part::Partition };
                Ok(None)
            }
            Part::Partition | Part::Records { .. } => {
                self.partition = PartitionIndex::decode(reader, what)?;
                // As the message has them, up to the records' length.
                let _ = Option::<ApiError>::decode(reader, what)?;
                for _ in ["high_watermark", "log_start", "next_good"] {
                    let _ = Offset::decode(reader, what)?;
                }
                let _ = Option::<EpochEnd>::decode(reader, what)?;
                let _ = Option::<LeaderHint>::decode(reader, what)?;
                let records_bytes = reader.u32(what)?;
                self.partitions_left = self.partitions_left.saturating_sub(1);
                Ok(Some(usize::try_from(records_bytes).unwrap_or(usize::MAX)))
            }
        }
    }

    /// Goes over the batches that end at `end`, as far as their heads are there.
    fn records(
        &mut self,
        arrived: &[u8],
        length: usize,
        end: usize,
        mut last: Option<(Offset, LeaderEpoch)>,
    ) -> Option<Look> {
        while end - self.at >= HEADER_BYTES {
            let Some(head) = arrived.get(self.at..self.at + HEADER_BYTES) else {
                self.part = Part::Records { end, last };
                return Some(Look::TooEarly);
            };
            let Ok(header) = BatchHeader::decode(head) else {
                return Some(Look::Hopeless);
            };
            if header.total_bytes() > end - self.at {
                break;
            }
            self.at += header.total_bytes();
            last = Some((header.next_offset(), header.leader_epoch));
        }
        self.at = end;
        self.part = if self.partitions_left == 0 { Part::Topic } else { Part::Partition };
        if let Some((next, epoch)) = last {
            let (topic, partition) = (self.topic, self.partition);
            self.known.push(GoesOn { topic, partition, next, epoch });
            if length - end <= TAIL_BYTES {
                return Some(Look::Known(std::mem::take(&mut self.known)));
            }
        }
        (self.topics_left == 0 && self.partitions_left == 0).then_some(Look::Hopeless)
    }
}

#[cfg(test)]
mod tests;
