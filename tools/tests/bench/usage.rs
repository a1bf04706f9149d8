//! What makes no sense is refused before anything is started.

use crate::support::{run, thalweg};

fn refused(args: &[&str], texts: &[&str]) {
    run(thalweg().arg("bench").args(args), b"").failed(2, texts);
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    refused(&[], &["Usage: thalweg bench"]);
    refused(&["produce", "--embedded", "--broker", "a:1"], &["cannot be used with"]);
    refused(&["produce", "--records", "0"], &["0 is not in 1.."]);
    refused(&["produce", "--rate", "0"], &["0 is not in 1.."]);
    refused(&["produce", "--duration", "0"], &["nothing can be measured in no time"]);
    refused(&["produce", "--duration", "soon"], &["500ms"]);
    refused(&["produce", "--record-size", "0"], &["a record without a byte"]);
    refused(&["produce", "--record-size", "2MiB"], &["--batch-bytes 1048576", "raise"]);
    refused(&["produce", "--payload", "noise"], &["random; half-random; zero; file:PATH"]);
    refused(&["produce", "--verify", "--record-size", "31"], &["a stamp of 32 bytes"]);
    refused(&["mixed", "--record-size", "31"], &["a stamp of 32 bytes"]);
    refused(&["consume", "--consumers", "9"], &["--consumers 9", "--partitions 8"]);
    refused(&["consume", "--rate", "7"], &["--rate", "for writers"]);
    refused(&["end-to-end", "--acks", "none"], &["--acks none"]);
    refused(&["produce", "--one-at-a-time", "--acks", "none"], &["--acks none"]);
    refused(&["produce", "--send-many", "9", "--rate", "9"], &["--send-many", "one by one"]);
    refused(&["produce", "--producers", "1001"], &["1001 is not in 1..=1000"]);
}

#[test]
fn help_is_there_for_every_workload() {
    for workload in ["machine", "produce", "consume", "end-to-end", "mixed"] {
        let ran = run(thalweg().args(["bench", workload, "--help"]), b"").good();
        assert!(ran.stdout.contains("Usage: thalweg bench"), "{ran:?}");
    }
}

#[test]
fn a_broker_that_is_not_there_and_a_file_that_is_not_there_are_named() {
    let base = ["bench", "produce", "--no-control", "--timeout", "300ms"];
    run(thalweg().args(base).args(["--broker", "127.0.0.1:1"]), b"").failed(1, &["127.0.0.1:1"]);
    run(thalweg().args(base).args(["--embedded", "--payload", "file:no-such-file"]), b"")
        .failed(1, &["cannot read no-such-file"]);
    let folder = ["--embedded", "--data-dir", "no-such-folder"];
    run(thalweg().args(base).args(folder), b"").failed(1, &["no-such-folder"]);
}
