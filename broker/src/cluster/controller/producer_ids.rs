//! Producer ids: blocks that are reserved in the log before the first id of them is given out.

use thalweg_protocol::{BrokerId, ProducerId};

use super::Refusal;
use crate::cluster::image::Image;
use crate::cluster::record::{ProducerIdsReserved, Record};

/// How many ids a block holds. What is left of a block when its broker stops is never given out.
const BLOCK_IDS: i64 = 1_000;

/// Producer ids that one life of one broker may give out, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The next one.
    next: i64,
    /// The first one that is not in the block.
    end: i64,
}

impl ProducerIdBlock {
    /// A block without ids.
    pub const EMPTY: Self = Self { next: 0, end: 0 };

    /// Whether the block holds this id still, so that nobody has it.
    pub const fn holds(&self, id: ProducerId) -> bool {
        self.next <= id.get() && id.get() < self.end
    }

    /// Takes the next id out of the block.
    pub const fn take(&mut self) -> Option<ProducerId> {
        if self.next == self.end {
            return None;
        }
        let id = ProducerId::new(self.next);
        self.next += 1;
        Some(id)
    }
}

/// Reserves the next block. It may be used once the record is durable, and not before.
pub(in crate::cluster) fn reserve(
    image: &Image,
    broker: BrokerId,
) -> Result<(Vec<Record>, ProducerIdBlock), Refusal> {
    let next = image.producer_next().get();
    let end = next.checked_add(BLOCK_IDS).ok_or(Refusal::NoProducerIds)?;
    let record = ProducerIdsReserved { broker, next: ProducerId::new(end) };
    Ok((vec![record.into()], ProducerIdBlock { next, end }))
}
