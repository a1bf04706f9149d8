//! Whose turn it is, and how long the sender sleeps: partitions beside others that have something all the time.

use tokio::time::{advance, sleep_until};

use super::brokers::{Brokers, PARTITIONS, address, index};
use super::world::World;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// A sender that is identified, and connected to the leader of all partitions.
fn ready(linger: Option<Duration>, bytes_max: u32) -> World {
    let options = ProducerOptions { linger, batch_bytes: 1024, ..ProducerOptions::default() };
    let mut brokers = Brokers::new(0);
    brokers.bytes_max = bytes_max;
    let mut world = World::new(options, brokers);
    world.connect(1);
    world.identify();
    world
}

/// Each batch that filled up before its linger was over once left an entry behind until then: a minute's worth of them.
#[tokio::test(start_paused = true)]
async fn a_partition_lingers_once_however_many_batches_fill_up_before_their_time() {
    let mut world = ready(Some(60_000 * MS), 1 << 20);
    world.append(Some(1), 600);
    world.append(Some(1), 600);
    world.work();
    assert_eq!(world.brokers.asked.len(), 1, "never answered: the broker is never quiet");
    for _ in 0..200 {
        world.append(Some(0), 600);
        world.work();
        if world.brokers.asked.len() > 1 {
            world.brokers.answer(1);
        }
        world.hear();
        advance(MS).await;
    }
    let lingering = &world.sender.brokers[&address(1)].lingering;
    assert!(lingering.len() <= 2, "{} entries of two partitions", lingering.len());
}

/// The looks began with the first partition each time: the first ones took all that the broker takes at once.
#[tokio::test(start_paused = true)]
async fn every_partition_has_its_turn_where_the_broker_takes_few_bytes() {
    let mut world = ready(None, 2000);
    let mut served = [0; PARTITIONS];
    for _ in 0..90 {
        for partition in 0..PARTITIONS {
            world.append(Some(partition), 700);
            world.append(Some(partition), 700);
        }
        world.work();
        for asked in &world.brokers.asked {
            for one in asked.request.topics.iter().flat_map(|topic| &topic.partitions) {
                served[index(one.partition)] += 1;
            }
        }
        while !world.brokers.asked.is_empty() {
            world.brokers.answer(0);
        }
        world.hear();
        advance(MS).await;
    }
    assert!(served.iter().all(|batches| *batches > 20), "{served:?}");
}

/// Metadata was old, its refresh was under way, and the sender woke at once again and again: a core was busy meanwhile.
#[tokio::test(start_paused = true)]
async fn the_sender_sleeps_while_old_metadata_is_refreshed() {
    let mut world = ready(None, 1 << 20);
    let image = world.sender.router.image();
    advance(world.sender.router.options().metadata_age_max).await;
    assert!(image.refreshed.is_some());
    world.sender.work();
    assert!(world.sender.refresh.is_asked());
    let (mut turns, events, end) = (0, world.sender.events.len(), now() + 50 * MS);
    while now() < end {
        world.sender.work();
        turns += 1;
        sleep_until(world.sender.wake_at.min(end)).await;
        assert!(turns < 5, "{turns} turns, and nothing to do");
    }
    assert_eq!(world.sender.events.len(), events, "one refresh at a time");
}
