//! Which source wins, and how each writes a setting.

use std::path::Path;

use thalweg_broker::base::{ByteSize, Millis};
use thalweg_broker::config::{Address, BrokerConfig, LogFormat, Protocol, Sources};

use crate::{File, variables};

#[test]
fn nothing_set_gives_the_defaults() {
    let config = BrokerConfig::load(&Sources::new()).unwrap();
    assert_eq!(config, BrokerConfig::default());
    assert_eq!(config.listeners[0].address, Address::new("127.0.0.1", 9092));
    assert_eq!(config.http_address, Some(Address::new("127.0.0.1", 9644)));
    assert_eq!(config.data_dirs, [Path::new("./thalweg-data")]);
}

/// Every combination of file, environment and `--set` for one key.
#[test]
fn options_win_over_the_environment_and_that_over_the_file() {
    let file = File::with("[limits]\nconnections_max = 1\n");
    let env = variables(&[("THALWEG_LIMITS__CONNECTIONS_MAX", "2"), ("PATH", "/bin")]);
    for (in_file, in_env, in_flags) in (0..8).map(|n| (n & 1 > 0, n & 2 > 0, n & 4 > 0)) {
        let mut sources = Sources::new();
        if in_flags {
            // Before the others: the order of the calls must not matter.
            sources = sources.set("limits.connections_max=3");
        }
        if in_env {
            sources = sources.environment(env.clone());
        }
        if in_file {
            sources = sources.file(file.path());
        }
        let expected = match (in_file, in_env, in_flags) {
            (_, _, true) => 3,
            (_, true, false) => 2,
            (true, false, false) => 1,
            (false, false, false) => BrokerConfig::default().limits.connections_max,
        };
        let config = BrokerConfig::load(&sources).unwrap();
        assert_eq!(config.limits.connections_max, expected, "{in_file} {in_env} {in_flags}");
    }
}

#[test]
fn the_last_option_wins_whichever_way_it_is_written() {
    let sources = Sources::new()
        .set("listeners=127.0.0.1:1")
        .flag("--listen", "listeners", "127.0.0.1:2")
        .set("node_id=5")
        .set("node_id = 6");
    let config = BrokerConfig::load(&sources).unwrap();
    assert_eq!(config.listeners[0].address.port, 2);
    assert_eq!(config.node_id.get(), 6);
}

#[test]
fn every_kind_of_value_can_be_written_in_a_file() {
    let file = File::with(
        r#"
        node_id = 7
        cluster_id = "6f3f2e0c-7c2a-4a57-9d0b-0c7a2c1f5b11"
        data_dirs = ["/data/1", "/data/2"]
        http_address = "off"
        rack = "north"
        voters = ["7@a:9092", { id = 8, address = "b:9092" }]
        drain_ms_max = "2s"
        limits.frame_bytes_max = "8MiB"

        [[listeners]]
        address = "0.0.0.0:9092"
        advertised = "broker.example:9092"
        protocol = "native"

        [storage]
        free_bytes_min = 2_097_152

        [log]
        format = "json"
        level = "info,thalweg_broker=debug"

        [topic_defaults]
        retention.ms = "1d"
        "segment.bytes" = "16MiB"
        preallocate = false
        min.cleanable.dirty.ratio = 0.25
        "#,
    );
    let config = BrokerConfig::load(&Sources::new().file(file.path())).unwrap();
    assert_eq!(config.node_id.get(), 7);
    assert_eq!(config.data_dirs, [Path::new("/data/1"), Path::new("/data/2")]);
    assert_eq!(config.http_address, None);
    assert_eq!(config.rack.as_deref(), Some("north"));
    assert_eq!(config.voters[1].to_string(), "8@b:9092");
    assert_eq!(config.drain_ms_max, Millis::seconds(2));
    assert_eq!(config.limits.frame_bytes_max, ByteSize::mib(8));
    assert_eq!(config.listeners[0].protocol, Protocol::Native);
    assert_eq!(config.listeners[0].advertised, Some(Address::new("broker.example", 9092)));
    assert_eq!(config.storage.free_bytes_min, ByteSize::mib(2));
    assert_eq!(config.log.format, LogFormat::Json);
    let topics: Vec<(&str, &str)> =
        config.topic_defaults.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("min.cleanable.dirty.ratio", "0.25"),
        ("preallocate", "false"),
        ("retention.ms", "86400000"),
        ("segment.bytes", "16777216"),
    ];
    assert_eq!(topics, expected);
}

#[test]
fn every_kind_of_value_can_be_written_in_a_variable_and_in_an_option() {
    let pairs = [
        ("THALWEG_NODE_ID", "node_id", "7"),
        ("THALWEG_DATA_DIRS", "data_dirs", "/data/1,/data/2"),
        ("THALWEG_LISTENERS", "listeners", "kafka://127.0.0.1:0, 127.0.0.1:0"),
        ("THALWEG_HTTP_ADDRESS", "http_address", "[::1]:0"),
        ("THALWEG_VOTERS", "voters", "7@a:1,8@b:1"),
        ("THALWEG_LIMITS__FRAME_BYTES_MAX", "limits.frame_bytes_max", "8MiB"),
        ("THALWEG_LIMITS__HANDSHAKE_MS_MAX", "limits.handshake_ms_max", "500ms"),
        ("THALWEG_LOG__FORMAT", "log.format", "json"),
        ("THALWEG_TOPIC_DEFAULTS__RETENTION_MS", "topic_defaults.retention.ms", "7d"),
        ("THALWEG_TOPIC_DEFAULTS__SEGMENT__BYTES", "topic_defaults.segment.bytes", "2MiB"),
        ("THALWEG_TOPIC_DEFAULTS__PREALLOCATE", "topic_defaults.preallocate", "FALSE"),
    ];
    let by_environment = pairs.iter().fold(Sources::new(), |sources, (variable, _, value)| {
        sources.environment(variables(&[(variable, value)]))
    });
    let by_options = pairs
        .iter()
        .fold(Sources::new(), |sources, (_, key, value)| sources.set(format!("{key}={value}")));
    let config = BrokerConfig::load(&by_environment).unwrap();
    assert_eq!(config, BrokerConfig::load(&by_options).unwrap());
    assert_eq!(config.listeners[0].protocol, Protocol::Kafka);
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.http_address, Some(Address::new("::1", 0)));
    assert_eq!(config.limits.handshake_ms_max, Millis::new(500));
    assert_eq!(config.topic_defaults["retention.ms"], "604800000");
    assert_eq!(config.topic_defaults["preallocate"], "false");
}

#[test]
fn variables_of_the_command_line_and_of_others_are_no_settings() {
    let env = variables(&[
        ("THALWEG_BROKER", "127.0.0.1:9092"),
        ("THALWEG_CONFIG", "/etc/thalweg/broker.toml"),
        ("HOME", "/root"),
    ]);
    let config = BrokerConfig::load(&Sources::new().environment(env)).unwrap();
    assert_eq!(config, BrokerConfig::default());
}
