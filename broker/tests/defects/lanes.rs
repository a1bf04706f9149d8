//! A producer who waits for the disk does not wait for the bytes of a topic that may wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use thalweg_client::{Acks, NewTopic, Record};

use crate::machine::Machine;

/// No single step takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

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
    // The next sync, which is that of the topic that is filled now, takes until the test says so.
    let (enter, entered) = channel();
    let (end, ended) = channel();
    let (ended, is_first) = (Mutex::new(ended), AtomicBool::new(true));
    machine.disk.during_sync(move || {
        if is_first.swap(false, Ordering::SeqCst) {
            enter.send(()).unwrap();
            ended.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
    });
    machine.run(async {
        let producer =
            client.producer().acks(Acks::Leader).idempotence(false).build().await.unwrap();
        let value = vec![7; 900_000];
        for _ in 0..LATE_BYTES.div_ceil(value.len()) {
            drop(producer.send(Record::to(LATE).value(&value)).await.unwrap());
        }
        producer.flush().await.unwrap();
    });
    entered.recv_timeout(PATIENCE).expect("a sync in the background");
    machine.try_publish(0, "while the other one lasts").unwrap();
    end.send(()).unwrap();
    machine.check_acknowledged().unwrap();
}
