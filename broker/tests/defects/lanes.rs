//! A producer who waits for the disk does not wait for the bytes of a topic that may wait.

use thalweg_client::{Acks, Client, NewTopic, Producer, Record};

use crate::gate::Gate;
use crate::machine::{Machine, TOPIC};

/// The topic whose bytes may wait, and how many make a sync of it due at once.
const LATE: &str = "late";
const LATE_BYTES: usize = 65 << 20;

#[test]
fn a_record_is_synced_and_acknowledged_while_a_background_sync_takes_its_time() {
    let mut machine = Machine::start();
    machine.create_topic(1, &[]);
    machine.publish(0, "before");
    let client = machine.client();
    machine.run(async {
        let late = NewTopic::new(LATE).partitions(1).config("durability", "replicated");
        client.admin().create_topic(late).await.unwrap();
    });
    let late_syncs = Gate::before("late-flusher", &machine.disk);
    late_syncs.close();
    machine.run(async { fill(&late_producer(&client).await, 0, LATE_BYTES).await });
    late_syncs.holds_one();
    machine.publish(0, "while the other one lasts");
    late_syncs.open();
    machine.check_acknowledged().unwrap();
}

/// Its entry in the round's list once went with the end of the round, while a sync of it was due already: that sync was
/// begun for nobody and never ended, and with it ended all background syncs of the directory.
#[test]
fn a_log_that_is_due_again_before_its_turn_in_a_round_stops_no_later_round() {
    let machine = Machine::start();
    let client = machine.client();
    let syncs = Gate::before("late-flusher", &machine.disk);
    syncs.close();
    machine.run(async {
        let late = NewTopic::new(LATE).partitions(2).config("durability", "replicated");
        client.admin().create_topic(late).await.unwrap();
        let producer = late_producer(&client).await;
        fill(&producer, 0, LATE_BYTES).await;
        syncs.holds_one();
        // Both are due when it ends; one thread syncs the one and then the other. The first sync of a log brings its
        // file and its folder.
        fill(&producer, 0, LATE_BYTES).await;
        fill(&producer, 1, LATE_BYTES).await;
        syncs.let_one_end();
        syncs.holds_one();
        syncs.let_one_end();
        syncs.holds_one();
        // Partition 1 waits for its turn, and has enough to be due again.
        fill(&producer, 1, 1).await;
        for _ in 0..2 {
            syncs.let_one_end();
            syncs.holds_one();
        }
        syncs.let_one_end();
        fill(&producer, 0, LATE_BYTES).await;
        syncs.holds_one();
    });
}

#[test]
fn nobody_waits_for_the_sync_of_a_log_that_is_not_theirs() {
    let mut machine = Machine::start();
    machine.create_topic(3, &[]);
    // The first sync of a log brings its file and its folder, each later one its file.
    for partition in 0..3 {
        machine.publish(partition, "before");
    }
    let syncs = Gate::before("flusher", &machine.disk);
    syncs.close();
    let publish = |partition: i32| {
        let client = machine.client();
        machine.spawn(async move {
            let producer = client.producer().build().await.unwrap();
            let record = Record::to(TOPIC).partition(partition).value("after");
            producer.send(record).await.unwrap().await.unwrap()
        })
    };
    let first = publish(2);
    syncs.holds_one();
    // Both join the next round, which one thread syncs in this order.
    let (mine, others) = (publish(0), publish(1));
    let directory = r#"thalweg_sync_queue_logs{directory="/data"}"#;
    Machine::until("both wait", || machine.metric(directory) == Some(3.0));
    syncs.let_one_end();
    machine.run(first).unwrap();
    syncs.holds_one();
    syncs.let_one_end();
    syncs.holds_one();
    machine.run(mine).expect("its sync is done");
    assert!(!others.is_finished());
    syncs.let_one_end();
    machine.run(others).unwrap();
}

async fn late_producer(client: &Client) -> Producer {
    client.producer().acks(Acks::Leader).idempotence(false).build().await.unwrap()
}

/// Writes so many bytes at least.
async fn fill(producer: &Producer, partition: i32, bytes: usize) {
    let value = vec![7; bytes.min(900_000)];
    for _ in 0..bytes.div_ceil(value.len()) {
        let record = Record::to(LATE).partition(partition).value(&value);
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
}
