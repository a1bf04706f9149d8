//! Topic settings: what is taken, what is refused with which words, and what holds in the end.

use std::collections::BTreeMap;

use thalweg_broker::config::{
    BrokerConfig, CleanupPolicy, Durability, SettingSource, TimestampType, TopicConfig,
    TopicOverrides,
};

fn overrides(entries: &[(&str, &str)]) -> TopicOverrides {
    TopicOverrides::from_entries(entries.iter().copied()).unwrap()
}

fn refusal(key: &str, value: &str) -> String {
    TopicOverrides::from_entries([(key, value)]).unwrap_err().to_string()
}

#[test]
fn a_topic_wins_over_the_broker_and_that_over_the_defaults() {
    let broker = overrides(&[("retention.ms", "1d"), ("segment.bytes", "16MiB")]);
    let own = overrides(&[("retention.ms", "-1"), ("durability", "replicated")]);
    let config = TopicConfig::resolve(&broker, &own);
    assert_eq!(config.retention_ms, -1);
    assert_eq!(config.segment_bytes, 16 << 20);
    assert_eq!(config.durability, Durability::Replicated);
    assert_eq!(config.max_message_bytes, 1_048_588);

    let described = TopicConfig::describe(&broker, &own);
    let of = |key: &str| {
        let setting = described.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.as_str(), setting.source)
    };
    assert_eq!(of("retention.ms"), ("-1", SettingSource::Topic));
    assert_eq!(of("segment.bytes"), ("16777216", SettingSource::Broker));
    assert_eq!(of("min.insync.replicas"), ("1", SettingSource::Default));
    assert!(described.is_sorted_by_key(|setting| setting.key));
    assert!(described.iter().all(|setting| setting.doc.ends_with('.') && setting.doc.len() > 20));
}

#[test]
fn the_defaults_are_kafkas_where_kafka_has_the_setting() {
    let kafkas = [
        ("cleanup.policy", "delete"),
        ("compression.type", "producer"),
        ("delete.retention.ms", "86400000"),
        ("index.interval.bytes", "4096"),
        ("max.compaction.lag.ms", "9223372036854775807"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("min.compaction.lag.ms", "0"),
        ("min.insync.replicas", "1"),
        ("retention.bytes", "-1"),
        ("retention.ms", "604800000"),
        ("segment.bytes", "1073741824"),
        ("segment.ms", "604800000"),
        ("unclean.leader.election.enable", "false"),
    ];
    let described = TopicConfig::describe(&TopicOverrides::new(), &TopicOverrides::new());
    for (key, value) in kafkas {
        let setting = described.iter().find(|setting| setting.key == key).expect(key);
        assert_eq!(setting.value, value, "{key}");
    }
    assert_eq!(TopicConfig::default().durability, Durability::Synced);
}

#[test]
fn values_are_kept_as_kafkas_tools_write_them() {
    let own = overrides(&[
        ("retention.ms", "7d"),
        ("retention.bytes", "10GiB"),
        ("preallocate", "FALSE"),
        ("message.timestamp.type", "LogAppendTime"),
    ]);
    assert_eq!(own["retention.ms"], "604800000");
    assert_eq!(own["retention.bytes"], "10737418240");
    assert_eq!(own["preallocate"], "false");
    let config = TopicConfig::resolve(&TopicOverrides::new(), &own);
    assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
}

#[test]
fn bad_settings_are_refused_with_what_is_possible() {
    assert_eq!(
        refusal("retension.ms", "1"),
        "there is no topic setting \"retension.ms\"; did you mean \"retention.ms\"?"
    );
    assert_eq!(
        refusal("flush.messages", "1"),
        "there is no topic setting \"flush.messages\"; did you mean \"durability\"?"
    );
    assert_eq!(
        refusal("remote.storage.enable", "true"),
        "there is no topic setting \"remote.storage.enable\""
    );
    assert_eq!(
        refusal("retention.ms", "-2"),
        "retention.ms cannot be \"-2\"; allowed is a time of 0 ms or more (such as 604800000 or 7d), or -1 \
         for no bound"
    );
    assert_eq!(
        refusal("segment.bytes", "2147483648"),
        "segment.bytes cannot be \"2147483648\"; allowed is a size from 1024 to 2147483647 bytes (such as \
         1073741824 or 1GiB)"
    );
    assert_eq!(
        refusal("compression.type", "lz4"),
        "compression.type cannot be \"lz4\"; allowed is \"producer\": batches stay as the producer \
         compressed them"
    );
    assert_eq!(
        refusal("cleanup.policy", "shred"),
        "cleanup.policy cannot be \"shred\"; allowed is \"delete\", \"compact\" or \"compact,delete\""
    );
    for (key, value) in [
        ("retention.ms", ""),
        ("retention.ms", "soon"),
        ("retention.ms", "9223372036854775808"),
        ("min.insync.replicas", "two"),
        ("min.insync.replicas", "1s"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("preallocate", "1"),
        ("durability", "Synced"),
        ("message.timestamp.type", "createtime"),
    ] {
        let error = refusal(key, value);
        assert!(error.starts_with(&format!("{key} cannot be {value:?}; allowed is ")), "{error}");
    }
    let twice = [("preallocate", "true"), ("preallocate", "true")];
    let error = TopicOverrides::from_entries(twice).unwrap_err();
    assert_eq!(error.to_string(), "preallocate is given twice");
}

#[test]
fn a_topic_is_deleted_from_compacted_or_both() {
    for (text, expected) in [
        ("delete", CleanupPolicy::Delete),
        ("compact", CleanupPolicy::Compact),
        ("delete,compact", CleanupPolicy::CompactAndDelete),
        (" compact , delete ", CleanupPolicy::CompactAndDelete),
    ] {
        let own = overrides(&[("cleanup.policy", text)]);
        let config = TopicConfig::resolve(&TopicOverrides::new(), &own);
        assert_eq!(config.cleanup_policy, expected, "{text:?}");
    }
}

#[test]
fn changes_are_made_all_together_or_not_at_all() {
    let own = overrides(&[("retention.ms", "1000"), ("preallocate", "false")]);
    let changes = [("retention.ms", None), ("segment.ms", Some("5000"))];
    let changed = own.with_changes(changes).unwrap();
    assert_eq!(changed, overrides(&[("preallocate", "false"), ("segment.ms", "5000")]));
    let bad = [("retention.ms", None), ("segment.ms", Some("never"))];
    assert!(own.with_changes(bad).is_err());
    assert!(own.with_changes([("nonsense", None)]).is_err());
    assert!(own.with_changes([("segment.ms", None)]).is_ok());
    let twice = [("segment.ms", Some("1")), ("segment.ms", Some("2"))];
    assert!(own.with_changes(twice).is_err());
}

#[test]
fn what_a_later_release_stored_is_kept_and_has_no_effect() {
    let stored = BTreeMap::from([
        ("retention.ms".to_owned(), "1000".to_owned()),
        ("tiered.storage".to_owned(), "yes".to_owned()),
        ("durability".to_owned(), "quantum".to_owned()),
    ]);
    let own = TopicOverrides::stored(&stored);
    let config = TopicConfig::resolve(&TopicOverrides::new(), &own);
    assert_eq!(config.retention_ms, 1_000);
    assert_eq!(config.durability, Durability::Synced);
    let changed = own.with_changes([("segment.ms", Some("5000"))]).unwrap();
    assert_eq!(changed["tiered.storage"], "yes");
    let rid = own.with_changes([("tiered.storage", None)]).unwrap();
    assert!(!rid.contains_key("tiered.storage"));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let broker = BrokerConfig::default();
    let check = |entries: &[(&str, &str)], replicas: i32| {
        let own = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TopicConfig::check_entries(&broker, &own.collect(), Some(replicas))
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(&[], 1), Ok(()));
    assert_eq!(check(&[("segment.bytes", "1048588")], 1), Ok(()));
    assert_eq!(
        check(&[("segment.bytes", "1048587")], 1).unwrap_err(),
        "segment.bytes is 1048587, less than max.message.bytes, 1048588: the largest batch would fit no \
         segment"
    );
    assert_eq!(check(&[("max.message.bytes", "104853504")], 1), Ok(()));
    let error = check(&[("max.message.bytes", "104853505")], 1).unwrap_err();
    assert!(error.starts_with("max.message.bytes is 104853505, but the broker takes"), "{error}");
    assert_eq!(check(&[("min.insync.replicas", "2")], 2), Ok(()));
    let error = check(&[("min.insync.replicas", "3")], 2).unwrap_err();
    assert!(error.starts_with("min.insync.replicas is 3, more than the 2 replicas"), "{error}");
    let lags = |max| [("min.compaction.lag.ms", "60000"), ("max.compaction.lag.ms", max)];
    assert_eq!(check(&lags("60000"), 1), Ok(()));
    let error = check(&lags("59999"), 1).unwrap_err();
    assert!(
        error.starts_with("min.compaction.lag.ms is 60000, more than max.compaction"),
        "{error}"
    );
}
