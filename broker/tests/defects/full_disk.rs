//! A full disk refuses records before any write fails, serves reads all the while, and takes records again by itself
//! once there is room.

use thalweg_client::{ConsumedRecord, Offset, SendError};

use crate::machine::{Machine, TOPIC};

/// Beside the floor of 1 MiB that stays free.
const CAPACITY_BYTES: u64 = 8 * 1024 * 1024;

#[test]
fn a_full_disk_refuses_early_and_resumes_by_itself() {
    let mut machine = Machine::start();
    machine.create_topic(1, &[("segment.bytes", "262144"), ("max.message.bytes", "131072")]);
    machine.disk.set_capacity(Some(CAPACITY_BYTES));
    let value = |number| format!("{number} {}", "x".repeat(40 * 1024));
    // A machine that stands still may let a record's time pass before the broker has said anything.
    let is_full = |error: SendError| {
        let error = error.to_string();
        error.contains("full") || error.contains("read-only")
    };
    let refused =
        (0..400).find(|number| machine.try_publish(0, &value(*number)).is_err_and(is_full));
    let refused = value(refused.expect("vacuous: the disk never became full"));
    assert!(machine.acknowledged_count() > 50, "refused far too early");
    // Blocks are reserved before they are written, so that a refusal comes before the write.
    assert_eq!(machine.disk.stats().writes_cut_as_full, 0, "a write failed half-way");
    Machine::until("the broker says that it is ready", || {
        let ready = machine.http("/readyz");
        ready.starts_with("HTTP/1.1 503") && ready.contains("read-only")
    });

    machine.check_acknowledged().unwrap();
    let read = machine.read();
    let is_refused = |record: &ConsumedRecord| record.value.as_deref() == Some(refused.as_bytes());
    assert!(!read.iter().any(is_refused), "a refused record is there");

    let client = machine.client();
    let end = Offset::new(i64::try_from(read.len()).unwrap());
    machine.run(async { client.admin().delete_records(TOPIC, 0, end).await }).unwrap();
    drop(client);
    machine.publish(0, "there is room");
    let read = machine.read();
    assert_eq!((read.len(), read[0].offset), (1, end));
    Machine::until("the broker says that it is not ready", || {
        machine.http("/readyz").starts_with("HTTP/1.1 200")
    });
}

/// A partition that could not be made for want of room used to stay offline until the next start of the broker.
#[test]
fn a_topic_created_on_a_full_disk_is_made_when_there_is_room() {
    let mut machine = Machine::start();
    let used = machine.disk.used_bytes();
    // Room for the metadata's entry, and less than the floor for everything else.
    machine.disk.set_capacity(Some(used + 512 * 1024));
    Machine::until("vacuous: the disk is not full", || {
        machine.http("/readyz").contains("read-only")
    });
    machine.create_topic(1, &[]);
    let described = machine.run(machine.client().admin().describe_topic(TOPIC)).unwrap();
    assert!(described.partitions[0].error.is_some(), "vacuous: there was room for the partition");
    machine.disk.set_capacity(None);
    machine.publish(0, "there is room");
    assert_eq!(machine.read().len(), 1);
}
