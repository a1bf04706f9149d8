//! What is meant wrongly ends with exit code 2 and says what is possible; what fails ends with 1 and says what to do.

use crate::support::{run, thalweg};

fn usage(args: &[&str], texts: &[&str]) {
    run(thalweg().args(args), b"").failed(2, texts);
}

#[test]
fn help_and_version_are_no_errors() {
    let commands: [&[&str]; 21] = [
        &[],
        &["serve"],
        &["topic"],
        &["topic", "create"],
        &["topic", "alter"],
        &["topic", "compact"],
        &["topic", "delete"],
        &["topic", "delete-records"],
        &["produce"],
        &["consume"],
        &["group"],
        &["group", "list"],
        &["group", "describe"],
        &["group", "reset"],
        &["group", "delete"],
        &["group", "delete-offsets"],
        &["cluster", "status"],
        &["log", "dump"],
        &["log", "verify"],
        &["demo"],
        &["completions"],
    ];
    for command in commands {
        let ran = run(thalweg().args(command).arg("--help"), b"").good();
        assert!(ran.stdout.contains("Usage: thalweg"), "{ran:?}");
    }
    assert!(run(thalweg().arg("--version"), b"").good().stdout.starts_with("thalweg "));
}

#[test]
fn bad_usage_says_what_is_possible() {
    usage(&[], &["Usage: thalweg"]);
    usage(&["topik"], &["unrecognized subcommand 'topik'", "topic"]);
    usage(&["topic", "create"], &["NAME"]);
    usage(&["topic", "create", "x", "--partitions", "0"], &["0 is not in 1.."]);
    usage(&["topic", "create", "x", "--config", "oops"], &["write it as key=value"]);
    usage(&["topic", "alter", "x"], &["nothing to change", "--reset KEY"]);
    usage(
        &["topic", "delete-records", "x", "--before", "soon"],
        &["an offset such as 4711, or \"end\""],
    );
    usage(&["produce", "x", "--acks", "some"], &["possible values", "none", "leader", "all"]);
    usage(&["produce", "x", "--compression", "rar"], &["possible values", "snappy", "zstd"]);
    usage(&["produce", "x", "--key-field", "a..b"], &["properties.net"]);
    usage(&["produce", "x", "--linger", "soon"], &["500ms"]);
    usage(&["consume", "x", "--format", "xml"], &["possible are: value; json; or a pattern"]);
    usage(&["consume", "x", "--format", "%x"], &["there is no field %x"]);
    usage(&["consume", "x", "--from", "yesterday"], &["possible are: beginning; end; an offset"]);
    usage(&["consume", "x", "--encoding", "hex"], &["text", "base64"]);
    usage(&["consume", "x", "--group", "g", "--partition", "0"], &["cannot be used with"]);
    usage(&["consume", "x", "--instance", "a"], &["--group <GROUP>"]);
    usage(&["group", "reset", "g"], &["--to-earliest", "--to-time", "--from-file"]);
    usage(&["group", "reset", "g", "--to-offset", "end"], &["possible are 0, 1, 2", "--to-latest"]);
    usage(&["group", "reset", "g", "--to-time", "soon"], &["2018-02-01T12:30:00Z"]);
    usage(&["group", "reset", "g", "--shift-by", "0"], &["-100 (back)"]);
    usage(&["group", "reset", "g", "--by-duration", "x", "--topic", "t"], &["500ms"]);
    usage(&["group", "reset", "g", "--to-latest", "--topic", "t:x"], &["events:0,3"]);
    usage(&["group", "reset", "g", "--to-latest", "--to-earliest"], &["cannot be used with"]);
    usage(&["group", "list", "--state", "dead"], &["empty", "reconciling", "stable"]);
    usage(&["group", "delete-offsets", "g"], &["--topic"]);
    usage(&["group", "describe"], &["<GROUP>"]);
    usage(&["topic", "list", "--broker", "nowhere"], &["the port is missing", "127.0.0.1:9092"]);
    usage(&["topic", "list", "--output", "yaml"], &["table", "json"]);
    usage(&["completions", "cmd"], &["bash", "zsh"]);
    usage(&["log", "verify"], &["PATHS"]);
}

#[test]
fn a_broker_that_is_not_there_is_named_with_what_to_do() {
    // A port that the system gives nobody, and on which nobody listens.
    let address = "127.0.0.1:1";
    for command in [
        &["topic", "list"][..],
        &["cluster", "status"],
        &["consume", "x"],
        &["produce", "x"],
        &["topic", "describe", "x"],
    ] {
        let mut command_line = thalweg();
        command_line.args(command).args(["--broker", address, "--timeout", "300ms"]);
        let texts = [address, "hint: is a broker running there? `thalweg serve` starts one"];
        run(&mut command_line, b"").failed(1, &texts);
    }
}

#[test]
fn completions_are_scripts() {
    for (shell, text) in [
        ("bash", "complete -F _thalweg"),
        ("zsh", "#compdef thalweg"),
        ("fish", "complete -c thalweg"),
    ] {
        let ran = run(thalweg().args(["completions", shell]), b"").good();
        assert!(ran.stdout.contains(text), "{shell}");
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    run(thalweg().args(["log", "verify", "no-such-folder"]), b"")
        .failed(1, &["cannot read no-such-folder"]);
    run(thalweg().args(["log", "dump", "no-such-file"]), b"")
        .failed(1, &["cannot read no-such-file"]);
}
