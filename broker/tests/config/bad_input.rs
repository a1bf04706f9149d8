//! Every kind of bad input, with the message that it gets.

use thalweg_broker::config::Sources;

use crate::{File, errors, variables};

/// A file with this text is refused with exactly these messages.
#[track_caller]
fn file_is_refused(text: &str, expected: &[&str]) {
    let file = File::with(text);
    assert_eq!(errors(&Sources::new().file(file.path())), expected);
}

/// A `--set` of this text is refused with exactly this message behind where it was written.
#[track_caller]
fn option_is_refused(pair: &str, expected: &str) {
    assert_eq!(errors(&Sources::new().set(pair)), [format!("option --set {pair}: {expected}")]);
}

#[test]
fn an_unknown_name_gets_its_line_and_the_nearest_known_name() {
    file_is_refused(
        "\n[limits]\n# a comment\nconection_max = 5\n",
        &["broker.toml:4: there is no setting \"limits.conection_max\"; did you mean \
           \"limits.connections_max\"?"],
    );
    file_is_refused(
        "zookeeper.connect = \"x\"",
        &["broker.toml:1: there is no setting \"zookeeper.connect\""],
    );
    file_is_refused(
        "[topic_defaults]\nretention.hours = 5",
        &["broker.toml:2: there is no setting \"topic_defaults.retention.hours\"; did you mean \
           \"topic_defaults.retention.bytes\"?"],
    );
}

#[test]
fn an_unknown_name_in_a_variable_or_option_says_which() {
    let sources = Sources::new()
        .environment(variables(&[("THALWEG_NODEID", "1")]))
        .set("frame_bytes_max=1MiB");
    let expected = [
        "environment variable THALWEG_NODEID: there is no setting \"nodeid\"; did you mean \
         \"node_id\"?",
        "option --set frame_bytes_max=1MiB: there is no setting \"frame_bytes_max\"; did you mean \
         \"limits.frame_bytes_max\"?",
    ];
    assert_eq!(errors(&sources), expected);
}

#[test]
fn an_unknown_name_within_a_listener_gets_its_own_line() {
    file_is_refused(
        "[[listeners]]\naddress = \"127.0.0.1:1\"\nadvertized = \"a:1\"\n",
        &[
            "broker.toml:3: there is no setting \"listeners.advertized\"; did you mean \"advertised\"?",
        ],
    );
}

#[test]
fn wrong_types_say_what_is_allowed() {
    let count = "a whole number from 1 to 1000000";
    file_is_refused(
        "limits.connections_max = \"5\"",
        &[&format!("broker.toml:1: limits.connections_max cannot be \"5\"; allowed is {count}")],
    );
    file_is_refused(
        "limits.connections_max = 1.5",
        &[&format!("broker.toml:1: limits.connections_max cannot be 1.5; allowed is {count}")],
    );
    file_is_refused(
        "data_dirs = \"/data\"",
        &[
            "broker.toml:1: data_dirs cannot be \"/data\"; allowed is a list of one or more different \
           folders",
        ],
    );
    file_is_refused(
        "log.format = true",
        &["broker.toml:1: log.format cannot be true; allowed is \"human\" or \"json\""],
    );
    file_is_refused(
        "rack = [1, \"a\"]",
        &["broker.toml:1: rack cannot be [1, \"a\"]; allowed is a text of at most 249 characters"],
    );
    file_is_refused(
        "topic_defaults.preallocate = 1",
        &["broker.toml:1: topic_defaults.preallocate cannot be 1; allowed is true or false"],
    );
}

#[test]
fn values_out_of_range_say_the_range() {
    let size = "allowed is a size from 64KiB to 1GiB (such as 65536 or 64KiB)";
    for found in ["1", "2GiB", "-5", "lots", "5 miles", "99999999999999999999"] {
        let expected = format!("limits.frame_bytes_max cannot be {found:?}; {size}");
        option_is_refused(&format!("limits.frame_bytes_max={found}"), &expected);
    }
    option_is_refused(
        "limits.handshake_ms_max=2h",
        "limits.handshake_ms_max cannot be \"2h\"; allowed is a time from 10ms to 1h (such as 1500 \
         or 1500ms)",
    );
    option_is_refused(
        "node_id=-1",
        "node_id cannot be \"-1\"; allowed is a whole number from 0 to 2147483647",
    );
    option_is_refused(
        "topic_defaults.min.insync.replicas=0",
        "topic_defaults.min.insync.replicas cannot be \"0\"; allowed is a whole number from 1 to 100",
    );
}

#[test]
fn values_of_another_form_say_the_form() {
    let listeners = "listeners cannot be";
    for found in ["", "127.0.0.1", "smtp://127.0.0.1:25", "127.0.0.1:99999", "a b:1"] {
        let error = &errors(&Sources::new().set(format!("listeners={found}")))[0];
        assert!(error.contains(listeners) && error.contains("127.0.0.1:9092"), "{error}");
    }
    let forms = [
        ("http_address", "somewhere", "\"off\""),
        ("cluster_id", "mine", "a UUID such as"),
        ("voters", "127.0.0.1:9092", "1@broker-1.example:9092"),
        ("log.level", "loud", "error, warn, info, debug, trace or off"),
        ("data_dirs", "/a,/a", "different folders"),
        ("topic_defaults.durability", "sometimes", "\"synced\" or \"replicated\""),
    ];
    for (key, value, form) in forms {
        let error = &errors(&Sources::new().set(format!("{key}={value}")))[0];
        let start = format!("option --set {key}={value}: {key} cannot be {value:?}; allowed is ");
        assert!(error.starts_with(&start) && error.contains(form), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_toml_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let error = &errors(&Sources::new().file(&missing))[0];
    let start = format!("cannot read the configuration file {}: ", missing.display());
    assert!(error.starts_with(&start), "{error}");

    let file = File::with("node_id = 1\nrack = \"open\nlog.level = \"info\"\n");
    let error = &errors(&Sources::new().file(file.path()))[0];
    assert!(error.starts_with("broker.toml:2: "), "{error}");
    let file = File::with("node_id = 1\nnode_id = 2\n");
    let error = &errors(&Sources::new().file(file.path()))[0];
    assert!(error.starts_with("broker.toml:2: ") && error.contains("duplicate"), "{error}");
}

#[test]
fn an_option_without_a_value_is_explained() {
    let expected = ["option --set \"node_id\": write it as key=value"];
    assert_eq!(errors(&Sources::new().set("node_id")), expected);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = File::with("node_id = true\nrak = \"a\"\n");
    let sources = Sources::new()
        .file(file.path())
        .environment(variables(&[("THALWEG_LOG__FORMAT", "xml")]))
        .set("drain_ms_max=soon");
    let starts = ["broker.toml:1: ", "broker.toml:2: ", "environment variable ", "option --set "];
    let found = errors(&sources);
    assert_eq!(found.len(), starts.len(), "{found:?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_explained() {
    #[track_caller]
    fn check(pairs: &[&str], expected: &str) {
        let sources = pairs.iter().fold(Sources::new(), |sources, pair| sources.set(*pair));
        let found = errors(&sources);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
    check(
        &["limits.request_memory_bytes_max=1MiB"],
        "limits.request_memory_bytes_max is 1MiB, less than limits.frame_bytes_max, 100MiB",
    );
    check(
        &["limits.answer_memory_bytes_max=1MiB"],
        "limits.answer_memory_bytes_max is 1MiB, less than limits.answer_bytes_max, 64MiB",
    );
    check(&["voters=1@a:1,1@b:1"], "voters: two of them have the id 1");
    check(&["voters=1@a:1,2@a:1"], "voters: two of them have the address a:1");
    check(&["voters=1@a:0"], "voters: 1@a:0 needs a port");
    check(&["listeners=a:1,a:1"], "listeners: two of them listen on a:1");
    check(&["listeners=0.0.0.0:1"], "listeners: 0.0.0.0:1 takes connections from everywhere");
    check(
        &["http_address=127.0.0.1:9092"],
        "http_address: 127.0.0.1:9092 is one of the listeners'",
    );
    check(
        &["topic_defaults.segment.bytes=1024"],
        "topic_defaults: segment.bytes is 1024, less than max.message.bytes, 1048588",
    );
    check(
        &["topic_defaults.min.insync.replicas=2"],
        "topic_defaults: min.insync.replicas is 2, more than the 1 replicas of each partition",
    );
}
