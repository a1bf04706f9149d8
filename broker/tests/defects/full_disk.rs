//! A full disk refuses records before any write fails, serves reads all the while, and takes records again by itself
//! once there is room.

use std::time::Duration;

use thalweg_client::Offset;

use crate::machine::{Machine, TOPIC};

/// Beside the floor of 1 MiB that stays free.
const CAPACITY_BYTES: u64 = 8 * 1024 * 1024;

/// How long the broker may take to see that there is room again.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_refuses_early_and_resumes_by_itself() {
    let mut machine = Machine::start();
    machine.create_topic(1, &[("segment.bytes", "262144"), ("max.message.bytes", "131072")]);
    machine.disk.set_capacity(Some(CAPACITY_BYTES));
    let mut refused = None;
    for number in 0..400 {
        let value = format!("{number} {}", "x".repeat(40 * 1024));
        if let Err(error) = machine.try_publish(0, &value) {
            refused = Some(error.to_string());
            break;
        }
    }
    let refused = refused.expect("vacuous: the disk never became full");
    assert!(refused.contains("full") || refused.contains("read-only"), "{refused}");
    assert!(machine.acknowledged_count() > 50, "refused far too early");
    // Blocks are reserved before they are written, so that a refusal comes before the write.
    assert_eq!(machine.disk.stats().writes_cut_as_full, 0, "a write failed half-way");
    let ready = machine.http("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("read-only"), "{ready}");

    machine.check_acknowledged().unwrap();
    assert_eq!(machine.read().len(), machine.acknowledged_count(), "refused records are not there");

    let client = machine.client();
    let end = Offset::new(i64::try_from(machine.acknowledged_count()).unwrap());
    machine.run(async { client.admin().delete_records(TOPIC, 0, end).await }).unwrap();
    drop(client);
    let after = machine.publish_within(0, "there is room", RESUMES_WITHIN).unwrap();
    assert_eq!(after.offset, end);
    assert_eq!(machine.read().len(), 1);
    assert!(machine.http("/readyz").starts_with("HTTP/1.1 200"));
}

/// A partition that could not be made for want of room used to stay offline until the next start of the broker.
#[test]
fn a_topic_created_on_a_full_disk_is_made_when_there_is_room() {
    let mut machine = Machine::start();
    let used = machine.disk.used_bytes();
    // Room for the metadata's entry, and less than the floor for everything else.
    machine.disk.set_capacity(Some(used + 512 * 1024));
    let read_only = || machine.http("/readyz").contains("read-only");
    within(RESUMES_WITHIN, read_only, "vacuous: the disk is not full");
    machine.create_topic(1, &[]);
    let described = machine.run(machine.client().admin().describe_topic(TOPIC)).unwrap();
    assert!(described.partitions[0].error.is_some(), "vacuous: there was room for the partition");
    machine.disk.set_capacity(None);
    machine.publish_within(0, "there is room", RESUMES_WITHIN).unwrap();
    assert_eq!(machine.read().len(), 1);
}

fn within(deadline: Duration, holds: impl Fn() -> bool, what: &str) {
    let clock = thalweg_broker::base::SystemClock::new();
    let now = || thalweg_broker::base::Clock::now(&clock);
    let began = now();
    while !holds() {
        assert!(now().since(began) < deadline, "{what}");
        std::thread::yield_now();
    }
}
