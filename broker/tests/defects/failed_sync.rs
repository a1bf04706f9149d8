//! After a failed sync nothing is acknowledged any more in that directory, and what was synced before stays readable.

use thalweg_storage::fs::sim::{Crash, Survivors};

use crate::machine::Machine;

#[test]
fn a_failed_sync_takes_the_directory_offline_and_reads_go_on_below_it() {
    let mut machine = Machine::start();
    machine.create_topic(2, &[]);
    for number in 0..5 {
        machine.publish(0, &format!("first {number}"));
        machine.publish(1, &format!("second {number}"));
    }
    machine.disk.fail_sync(1);
    machine.refused(0, "lost", &["offline"]);
    assert_eq!(machine.disk.stats().syncs_failed, 1, "vacuous: no sync failed");
    // The disk would sync again, but nobody asks it to: the other partition of the directory is refused, too.
    machine.refused(1, "refused", &["offline"]);
    assert_eq!(machine.acknowledged_count(), 10);

    let read = machine.read();
    assert_eq!(read.len(), 10, "what was synced is readable, and nothing else is");
    machine.check_acknowledged().unwrap();
    let ready = machine.http("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(
        ready.contains("/data") && ready.contains("offline") && ready.contains("sync"),
        "{ready}"
    );

    machine.lose_power(Crash::seeded(1).leaving(Survivors::Everything));
    machine.start_broker();
    machine.check_acknowledged().unwrap();
    assert!(machine.http("/readyz").starts_with("HTTP/1.1 200"));
    machine.publish(0, "after the restart");
    machine.publish(1, "after the restart too");
    machine.check_acknowledged().unwrap();
}
