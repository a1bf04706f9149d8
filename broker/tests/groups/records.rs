//! What a shard writes down: golden bytes of every kind, and records that a later or a broken release wrote.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use thalweg_broker::coordinator::{
    ClientInfo, CommittedOffset, Current, GroupKind, Record, RecordError, StoredGroup,
    StoredMember, Subscription, shard_of,
};
use thalweg_protocol::{GroupEpoch, LeaderEpoch, MemberEpoch, Offset, TimestampMs, TopicId};

use crate::world::at;

fn every_kind() -> Vec<(&'static str, Record)> {
    let topic = TopicId::from_bytes([7; 16]);
    let (group, member) = (|| "orders".into(), || "m-1".into());
    let target = [at(topic, 0), at(topic, 1)].into_iter().collect();
    vec![
        ("offset", Record::Offset(group(), at(topic, 3), Some(an_offset()))),
        ("offset_gone", Record::Offset(group(), at(topic, 3), None)),
        ("group", Record::Group(group(), Some(a_group()))),
        ("group_gone", Record::Group(group(), None)),
        ("member", Record::Member(group(), member(), Some(a_member()))),
        ("member_gone", Record::Member(group(), member(), None)),
        ("target", Record::Target(group(), member(), Some(target))),
        ("target_gone", Record::Target(group(), member(), None)),
        ("current", Record::Current(group(), member(), Some(a_current(topic)))),
        ("current_gone", Record::Current(group(), member(), None)),
    ]
}

fn an_offset() -> CommittedOffset {
    CommittedOffset {
        offset: Offset::new(41),
        leader_epoch: LeaderEpoch::new(2),
        metadata: "note".to_owned(),
        commit_time: TimestampMs::new(1_700_000_000_000),
    }
}

fn a_group() -> StoredGroup {
    StoredGroup {
        kind: GroupKind::Consumer,
        epoch: GroupEpoch::new(5),
        assignor: "sticky".to_owned(),
        empty_since: Some(TimestampMs::new(1_700_000_000_000)),
    }
}

fn a_member() -> StoredMember {
    StoredMember {
        instance: Some("i".to_owned()),
        client: ClientInfo { name: "c".to_owned(), host: "10.0.0.1".to_owned() },
        session_timeout_ms: 10_000,
        drain_timeout_ms: 60_000,
        assignor: None,
        subscription: Subscription {
            names: vec!["a".to_owned(), "b".to_owned()],
            pattern: Some("logs-.*".to_owned()),
        },
    }
}

fn a_current(topic: TopicId) -> Current {
    Current {
        epoch: MemberEpoch::new(5),
        previous: MemberEpoch::new(4),
        assigned: [at(topic, 0)].into_iter().collect(),
        revoking: [at(topic, 2)].into_iter().collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn records_stand_on_disk_as_they_always_did() {
    let mut shown = String::new();
    for (name, record) in every_kind() {
        let value = record.value().map_or("-".to_owned(), |value| hex(&value));
        writeln!(shown, "{name} {} {value}", hex(&record.key())).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/groups/records_0.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    assert_eq!(shown, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn records_read_back() {
    for (name, record) in every_kind() {
        let read = Record::decode(record.key(), record.value()).unwrap();
        assert_eq!(read, Some(record), "{name}");
    }
}

#[test]
fn cut_records_are_refused_and_never_panic() {
    for (_, record) in every_kind() {
        let (key, value) = (record.key(), record.value());
        for end in 0..key.len() {
            assert!(Record::decode(key.slice(..end), value.clone()).is_err());
        }
        for end in 0..value.as_ref().map_or(0, Bytes::len) {
            let cut = value.as_ref().map(|value| value.slice(..end));
            assert!(Record::decode(key.clone(), cut).is_err());
        }
    }
}

#[test]
fn what_a_later_release_wrote_is_left_alone_or_refused() {
    let unknown_kind = Bytes::from_static(&[0, 99, 1, 2, 3]);
    assert_eq!(Record::decode(unknown_kind, None), Ok(None));
    let (_, record) = &every_kind()[0];
    let newer = Bytes::from_static(&[0, 1, 9, 9]);
    let refused = Record::decode(record.key(), Some(newer));
    assert_eq!(refused, Err(RecordError::Version { kind: 1, version: 1 }));
}

#[test]
fn the_shard_of_a_group_never_changes() {
    let vectors = [
        ("a", 24),
        ("orders", 22),
        ("payments-eu", 32),
        ("grüße", 48),
        ("console-consumer-17", 13),
    ];
    let found = vectors.map(|(group, _)| (group, shard_of(group, 50).get()));
    assert_eq!(found, vectors);
}
