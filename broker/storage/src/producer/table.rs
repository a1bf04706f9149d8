//! The table of producers, and the decision whether a batch is new.

use std::collections::HashMap;

use thalweg_protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::batch::{ProducerBatch, REMEMBERED_MAX, RememberedBatch, distance};
use crate::defects::{self, Defect};

/// A sequence at most so far behind is a repetition, one further on is a gap: half of the circle.
const BEHIND_MAX: i64 = 1 << 30;

/// A producer that appended within this time is never forgotten to make room for another: its last batch may be
/// in flight still, or come again because its answer was lost, and nobody would know it. No request waits
/// longer than 2 minutes, nor do clients try longer than that by default.
pub const PRODUCER_KEPT_MS: i64 = 5 * 60 * 1000;

/// How much a partition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// Producers remembered at one time; one more takes the place of the one that is idle longest.
    pub producers_max: usize,
    /// A producer that appended nothing for so long is forgotten: `producer.id.expiration.ms`.
    pub expiration_ms: i64,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceCheck {
    /// Append it, then [`record`](ProducerTable::record) it.
    New,
    /// It is stored already: answer like the original, once the high watermark has passed it.
    Duplicate(Duplicate),
    /// It is stored already, but so long ago that its offset is forgotten.
    Forgotten {
        /// It lies below this offset, where the oldest batch that is remembered begins.
        below: Offset,
    },
}

/// Where the original of a repeated batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// When it was appended, by the broker's clock.
    pub appended: TimestampMs,
}

/// Why a batch of an idempotent producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// Batches before this one are missing, or it overlaps what is stored.
    #[error("producer {producer} epoch {epoch}: sequence {found} where {expected} was expected")]
    OutOfOrder {
        /// The producer.
        producer: ProducerId,
        /// The batch's epoch.
        epoch: ProducerEpoch,
        /// The sequence that would have followed.
        expected: Sequence,
        /// The batch's first sequence.
        found: Sequence,
    },
    /// A newer life of the producer has written.
    #[error("producer {producer}: epoch {found} is fenced by epoch {current}")]
    FencedEpoch {
        /// The producer.
        producer: ProducerId,
        /// The newest epoch that has written.
        current: ProducerEpoch,
        /// The batch's epoch.
        found: ProducerEpoch,
    },
    /// The batch continues something, but nothing is remembered of this producer.
    #[error(
        "producer {producer} epoch {epoch}: sequence {found} of a producer that is not known here \
         (never seen, expired or deleted); an unknown producer begins with sequence 0"
    )]
    UnknownProducer {
        /// The producer.
        producer: ProducerId,
        /// The batch's epoch.
        epoch: ProducerEpoch,
        /// The batch's first sequence.
        found: Sequence,
    },
    /// The partition remembers as many producers as it may, and each has appended a moment ago.
    #[error(
        "producer {producer}: the partition remembers {producers_max} producers already, and each has \
         appended within the last {} minutes", PRODUCER_KEPT_MS / 60_000
    )]
    TooMany {
        /// The producer.
        producer: ProducerId,
        /// The limit.
        producers_max: usize,
    },
}

impl SequenceError {
    /// The code that the client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrder { .. } => ErrorCode::OutOfOrderSequence,
            Self::FencedEpoch { .. } => ErrorCode::FencedProducerEpoch,
            Self::UnknownProducer { .. } => ErrorCode::UnknownProducer,
            Self::TooMany { .. } => ErrorCode::TooManyProducers,
        }
    }
}

/// Whether the table still holds after a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterTruncation {
    /// No batch of an idempotent producer was cut: the table holds.
    Unchanged,
    /// Some were. What stood before them (up to five per producer, an older epoch) is forgotten, so the
    /// table is empty now: load the newest snapshot at or below the cut and record the batches from there.
    Rebuild,
}

/// What is remembered of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: ProducerEpoch,
    /// One to five batches of this epoch, oldest first.
    pub(super) batches: Vec<RememberedBatch>,
}

/// What a partition remembers of its idempotent producers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerTable {
    pub(super) producers: HashMap<ProducerId, Producer>,
}

impl ProducerTable {
    /// Remembers nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many producers are remembered.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Who is remembered.
    pub fn ids(&self) -> impl Iterator<Item = ProducerId> {
        self.producers.keys().copied()
    }

    /// The batches remembered of `producer` with their epoch, oldest first.
    pub fn batches(&self, producer: ProducerId) -> Option<(ProducerEpoch, &[RememberedBatch])> {
        let found = self.producers.get(&producer)?;
        Some((found.epoch, &found.batches))
    }

    /// Decides about a batch; changes nothing.
    pub fn check(
        &self,
        batch: &ProducerBatch,
        limits: &ProducerLimits,
        now: TimestampMs,
    ) -> Result<SequenceCheck, SequenceError> {
        match self.producers.get(&batch.producer) {
            None => self.check_unknown(batch, limits, now),
            Some(known) => known.check(batch),
        }
    }

    fn check_unknown(
        &self,
        batch: &ProducerBatch,
        limits: &ProducerLimits,
        now: TimestampMs,
    ) -> Result<SequenceCheck, SequenceError> {
        let ProducerBatch { producer, epoch, first: found, .. } = *batch;
        if found != Sequence::FIRST && !defects::planted(Defect::ForgetProducerState) {
            return Err(SequenceError::UnknownProducer { producer, epoch, found });
        }
        let producers_max = limits.producers_max;
        if self.producers.len() >= producers_max && !self.can_make_room(now) {
            return Err(SequenceError::TooMany { producer, producers_max });
        }
        Ok(SequenceCheck::New)
    }

    /// Takes note of a batch that was appended, live or found in the log: `last_offset` is its last
    /// record's offset, `appended` the broker's clock at its append (at a rebuild: at the restart).
    ///
    /// Does not judge: what is in the log happened. When `producers_max` are remembered, a further one takes the
    /// place of the one that is idle longest, which is told by offsets alone: a restart and a
    /// follower find the same table as the leader that appended.
    pub fn record(
        &mut self,
        batch: &ProducerBatch,
        last_offset: Offset,
        appended: TimestampMs,
        producers_max: usize,
    ) {
        let ProducerBatch { producer, epoch, first, last } = *batch;
        if !self.producers.contains_key(&producer) {
            self.make_room(producers_max);
        }
        let offset_delta = i32::try_from(distance(first, last)).unwrap_or(i32::MAX);
        let remembered = RememberedBatch { first, last, last_offset, offset_delta, appended };
        let known =
            self.producers.entry(producer).or_insert(Producer { epoch, batches: Vec::new() });
        known.remember(epoch, remembered);
    }

    /// The producer whose last batch lies lowest in the log, with that batch.
    fn longest_idle(&self) -> Option<(ProducerId, &RememberedBatch)> {
        let newest =
            self.producers.iter().filter_map(|(id, known)| Some((*id, known.batches.last()?)));
        newest.min_by_key(|(_, batch)| batch.last_offset)
    }

    /// Whether the one that is idle longest is idle long enough to be forgotten.
    fn can_make_room(&self, now: TimestampMs) -> bool {
        let longest = self.longest_idle();
        longest.is_some_and(|(_, batch)| now.since(batch.appended) >= PRODUCER_KEPT_MS)
    }

    /// Forgets those that are idle longest, until there is room for one more.
    fn make_room(&mut self, producers_max: usize) {
        while self.producers.len() >= producers_max
            && let Some((producer, _)) = self.longest_idle()
        {
            self.producers.remove(&producer);
        }
    }

    /// Forgets producers that appended nothing for `expiration_ms`; says how many.
    pub fn expire(&mut self, now: TimestampMs, limits: &ProducerLimits) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, known| {
            let idle_ms = known.batches.last().map_or(i64::MAX, |last| now.since(last.appended));
            idle_ms < limits.expiration_ms
        });
        before - self.producers.len()
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.producers.clear();
    }

    /// The log was cut: `end` is its new end.
    pub fn truncate_to(&mut self, end: Offset) -> AfterTruncation {
        let cut = |known: &Producer| known.batches.last().is_some_and(|b| b.last_offset >= end);
        if !self.producers.values().any(cut) {
            return AfterTruncation::Unchanged;
        }
        self.clear();
        AfterTruncation::Rebuild
    }
}

impl Producer {
    fn check(&self, batch: &ProducerBatch) -> Result<SequenceCheck, SequenceError> {
        let ProducerBatch { producer, epoch, first: found, .. } = *batch;
        let current = self.epoch;
        if epoch < current {
            return Err(SequenceError::FencedEpoch { producer, current, found: epoch });
        }
        let (Some(oldest), Some(newest)) = (self.batches.first(), self.batches.last()) else {
            return Ok(SequenceCheck::New);
        };
        let expected = if epoch > current { Sequence::FIRST } else { newest.last.plus(1) };
        if found == expected {
            return Ok(SequenceCheck::New);
        }
        if epoch == current {
            if let Some(original) = self.original(batch) {
                return Ok(SequenceCheck::Duplicate(original));
            }
            if is_before(batch.last, oldest.first) && is_before(found, oldest.first) {
                return Ok(SequenceCheck::Forgotten { below: oldest.base_offset() });
            }
        }
        if defects::planted(Defect::IgnoreSequenceGap) {
            return Ok(SequenceCheck::New);
        }
        Err(SequenceError::OutOfOrder { producer, epoch, expected, found })
    }

    fn original(&self, batch: &ProducerBatch) -> Option<Duplicate> {
        let mut newest_first = self.batches.iter().rev();
        let found = newest_first.find(|it| it.first == batch.first && it.last == batch.last)?;
        Some(Duplicate {
            base_offset: found.base_offset(),
            last_offset: found.last_offset,
            appended: found.appended,
        })
    }

    pub(super) fn remember(&mut self, epoch: ProducerEpoch, batch: RememberedBatch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
        if self.batches.len() == REMEMBERED_MAX {
            self.batches.remove(0);
        }
        self.batches.push(batch);
    }
}

/// Whether `earlier` comes before `later`, and not so far that it is rather ahead.
const fn is_before(earlier: Sequence, later: Sequence) -> bool {
    let behind = distance(earlier, later);
    behind > 0 && behind <= BEHIND_MAX
}
