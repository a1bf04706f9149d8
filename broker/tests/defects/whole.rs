//! The broker as a whole against what it has acknowledged, over power cuts and restarts.

use thalweg_storage::defects::Defect;
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk, Survivors};

use crate::machine::Machine;
use crate::verdict::{Verdict, assert_caught_in_process, demand};

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_its_sync() {
    fn scenario() -> Verdict {
        let mut machine = Machine::start();
        machine.create_topic(1, &[]);
        machine.publish(0, "before");
        machine.disk.crash_at_sync(1);
        // The cut falls into the sync of this record.
        machine.publish_into(0, "at the cut", SimDisk::is_down);
        machine.lose_power(Crash::seeded(1).leaving(Survivors::Nothing));
        machine.start_broker();
        machine.check_acknowledged()
    }
    let test = "whole::what_was_acknowledged_survives_a_power_cut_at_its_sync";
    assert_caught_in_process(Defect::AckBeforeSync, test, scenario);
}

#[test]
fn a_sync_that_failed_acknowledges_nothing_even_if_the_next_one_succeeds() {
    fn scenario() -> Verdict {
        let mut machine = Machine::start();
        machine.create_topic(1, &[]);
        machine.publish(0, "before");
        machine.disk.fail_sync(1);
        machine.publish_into(0, "at the failure", |disk| disk.stats().syncs_failed == 1);
        // Everything survives but what the failed sync has lost.
        machine.lose_power(Crash::seeded(1).leaving(Survivors::Everything));
        machine.start_broker();
        machine.check_acknowledged()
    }
    let test = "whole::a_sync_that_failed_acknowledges_nothing_even_if_the_next_one_succeeds";
    assert_caught_in_process(Defect::RetryFailedSync, test, scenario);
}

#[test]
fn a_new_producer_after_a_restart_is_nobody_elses_double() {
    fn scenario() -> Verdict {
        let mut machine = Machine::start();
        machine.create_topic(1, &[]);
        machine.publish(0, "first life");
        machine.lose_power(Crash::seeded(1).leaving(Survivors::Nothing));
        machine.start_broker();
        // With the id of the one before, its first batch would pass for a duplicate and be dropped.
        machine.publish(0, "second life");
        machine.check_acknowledged()
    }
    let test = "whole::a_new_producer_after_a_restart_is_nobody_elses_double";
    assert_caught_in_process(Defect::ProducerIdTwice, test, scenario);
}

#[test]
fn a_partition_whose_folder_is_missing_is_offline_and_not_empty() {
    fn scenario() -> Verdict {
        let mut machine = Machine::start();
        machine.create_topic(2, &[]);
        machine.publish(0, "on the lost disk");
        machine.publish(1, "on the other");
        let folder = machine.folder(0);
        machine.stop_broker();
        machine.disk.remove_folder(&folder).unwrap();
        machine.start_broker();
        let offline = machine.broker().offline_partitions();
        demand(offline.len() == 1, format!("offline are {offline:?}"))?;
        demand(!machine.disk.exists(&folder), "the folder was made a second time")?;
        demand(machine.try_publish(0, "into the void").is_err(), "a lost partition takes records")
    }
    let test = "whole::a_partition_whose_folder_is_missing_is_offline_and_not_empty";
    assert_caught_in_process(Defect::RecreateMissingFolder, test, scenario);
}
