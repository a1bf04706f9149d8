//! Which shards are led here: begins and ends their workers as the metadata says.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use thalweg_protocol::{BrokerId, LeaderEpoch, PartitionIndex, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shard::{Job, Shard, ShardOptions};
use crate::cluster::{Image, MetadataHandle, OFFSETS_TOPIC};

/// The shards led here, and what is needed to ask them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: BrokerId,
    pub(super) shards_at_creation: i32,
    pub(super) metadata: MetadataHandle,
    pub(super) shards: RwLock<HashMap<PartitionIndex, ShardHandle>>,
}

/// A shard's worker.
#[derive(Debug)]
pub(super) struct ShardHandle {
    at: TopicPartition,
    epoch: LeaderEpoch,
    pub(super) jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
}

impl Shared {
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&HashMap<PartitionIndex, ShardHandle>) -> T,
    ) -> T {
        look(&self.shards.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shards led here, by the image.
    fn led(&self, image: &Image) -> HashMap<PartitionIndex, (TopicPartition, LeaderEpoch)> {
        let Some(topic) = image.topic_named(OFFSETS_TOPIC) else { return HashMap::new() };
        let mine = topic.partitions.iter().filter(|entry| entry.leader == self.me);
        let led = mine.map(|entry| {
            let at = TopicPartition::new(topic.id, entry.index);
            (entry.index, (at, entry.leader_epoch))
        });
        led.collect()
    }

    pub(super) fn has_workers(&self) -> bool {
        let led = self.led(&self.metadata.image());
        self.read(|shards| led.keys().all(|shard| shards.contains_key(shard)))
    }
}

/// Begins and ends shards as the metadata says. They work until the runtime ends: a broker that stops answers what was
/// begun.
pub(super) async fn follow(shared: Arc<Shared>, options: ShardOptions, control: Handle) {
    let mut newest = shared.metadata.subscribe();
    loop {
        let image = Arc::clone(&newest.borrow_and_update());
        change_shards(&shared, &options, &control, &shared.led(&image));
        if newest.changed().await.is_err() {
            return;
        }
    }
}

fn change_shards(
    shared: &Shared,
    options: &ShardOptions,
    control: &Handle,
    led: &HashMap<PartitionIndex, (TopicPartition, LeaderEpoch)>,
) {
    let mut shards = shared.shards.write().unwrap_or_else(PoisonError::into_inner);
    shards.retain(|number, shard| {
        let stays = led.get(number) == Some(&(shard.at, shard.epoch));
        if !stays {
            shard.stop.cancel();
        }
        stays
    });
    for (number, (at, epoch)) in led {
        if shards.contains_key(number) {
            continue;
        }
        let stop = CancellationToken::new();
        let (shard, jobs) = Shard::new(options.clone(), *at, *epoch, stop.clone());
        control.spawn(shard.run());
        shards.insert(*number, ShardHandle { at: *at, epoch: *epoch, jobs, stop });
    }
}
