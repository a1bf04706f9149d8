//! The planted defects of what stands around the core: each makes a test of `shards` fail, in a process of its own.

use std::process::Command;

use thalweg_storage::defects::Defect;

fn assert_caught(defect: Defect, test: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test]).env("THALWEG_DEFECT", defect.name());
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 failed"), "{defect} was not caught:\n{said}");
}

#[test]
fn silence_that_counts_while_nobody_listens_is_seen() {
    let test = "shards::a_member_is_not_taken_out_because_the_broker_slept";
    assert_caught(Defect::FenceUnheard, test);
}

#[test]
fn a_shard_that_is_read_beside_its_writer_is_seen() {
    let test = "shards::a_shard_is_not_read_anew_before_its_earlier_writer_has_ended";
    assert_caught(Defect::ReadBesideWriter, test);
}
