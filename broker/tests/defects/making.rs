//! Partitions that were being made when the power went.

use thalweg_client::NewTopic;
use thalweg_storage::fs::sim::{Crash, Survivors};

use crate::machine::{Machine, TOPIC};

/// Their folders are made at the same time.
const PARTITIONS: i32 = 2;

/// A cut between the making of a folder and of the file that says whose it is once left a partition offline for good:
/// the next start took the folder for a finished one.
#[test]
fn a_topic_that_was_being_made_when_the_power_went_can_be_used_afterwards() {
    for survivors in [Survivors::Nothing, Survivors::Everything] {
        let mut cuts = 0;
        while cut_at_sync(cuts + 1, survivors) {
            cuts += 1;
        }
        assert!(cuts >= 8, "vacuous: {cuts} syncs make two partitions");
    }
}

/// False when the topic was made before that sync.
fn cut_at_sync(nth: u64, survivors: Survivors) -> bool {
    let mut machine = Machine::start();
    machine.disk.crash_at_sync(nth);
    let (client, disk) = (machine.client(), machine.disk.clone());
    let topic = || NewTopic::new(TOPIC).partitions(PARTITIONS);
    let making = machine.spawn(async move { client.admin().create_topic(topic()).await });
    Machine::until("the topic is neither made nor cut off", || {
        making.is_finished() || disk.is_down()
    });
    if !disk.is_down() {
        return false;
    }
    making.abort();
    machine.lose_power(Crash::seeded(nth).leaving(survivors));
    machine.start_broker();
    let client = machine.client();
    // It is there already when the cut came late.
    let _ = machine.run(async { client.admin().create_topic(topic()).await });
    for partition in 0..PARTITIONS {
        machine.publish(partition, &format!("after the cut, in {partition}"));
    }
    machine.check_acknowledged().unwrap();
    true
}
