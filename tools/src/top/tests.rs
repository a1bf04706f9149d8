//! Figures, keys and the screen, without a terminal.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use thalweg_client::{
    BrokerId, ClusterDescription, ClusterId, DescribedGroup, DescribedPartition, DescribedTopic,
    ErrorCode, GroupEpoch, GroupKind, GroupState, LeaderEpoch, MissingShard, Offset,
    PartitionIndex, TopicId,
};
use thalweg_protocol::native::ApiError;

use super::model::{Key, Model, Place};
use super::sample::{Heard, Sample};
use super::{unknown, view};

fn topic(id: TopicId, name: &str, end: i64) -> DescribedTopic {
    let partition = DescribedPartition {
        partition: PartitionIndex::new(0),
        error: None,
        leader: BrokerId::new(1),
        leader_epoch: LeaderEpoch::new(3),
        replicas: vec![BrokerId::new(1)],
        isr: vec![BrokerId::new(1)],
        log_start: Offset::new(0),
        high_watermark: Offset::new(end),
        log_end: Offset::new(end),
        log_bytes: end * 100,
    };
    let partitions = vec![partition];
    DescribedTopic {
        error: None,
        name: name.to_owned(),
        id,
        internal: name.starts_with("__"),
        partitions,
        configs: Vec::new(),
    }
}

fn sample(at: u64, topics: Vec<DescribedTopic>) -> Sample {
    Sample {
        at: Duration::from_secs(at),
        cluster: ClusterDescription {
            cluster: ClusterId::random(),
            controller: BrokerId::new(1),
            brokers: Vec::new(),
            topics: 0,
            partitions: 0,
            partitions_leaderless: 0,
            partitions_under_replicated: 0,
        },
        topics,
        groups: Ok(Vec::new()),
        groups_unknown: Vec::new(),
    }
}

/// A model that has heard of these topics twice, two seconds apart: where they ended, then where they end.
fn model(topics: &[(&str, i64, i64)]) -> Model {
    let ids: Vec<TopicId> = topics.iter().map(|_| TopicId::random()).collect();
    let mut model = Model::new();
    for (at, is_second) in [(1, false), (3, true)] {
        let ends = topics.iter().zip(&ids).map(|(&(name, before, now), &id)| {
            topic(id, name, if is_second { now } else { before })
        });
        model.hear(Heard::Sample(Box::new(sample(at, ends.collect()))));
    }
    model
}

fn names(model: &Model) -> Vec<String> {
    model.page().rows.into_iter().map(|(name, _)| name).collect()
}

fn screen(model: &Model, now: u64, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(model, Duration::from_secs(now), frame)).unwrap();
    let cells = terminal.backend().buffer().content().chunks(usize::from(width));
    cells
        .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn the_busiest_topic_comes_first_and_the_order_can_be_turned() {
    let mut model = model(&[("calm", 0, 2), ("busy", 0, 2_000), ("__own", 0, 9_000)]);
    assert_eq!(names(&model), ["busy", "calm"]);
    model.press(Key::Char('r'));
    assert_eq!(names(&model), ["calm", "busy"]);
    model.press(Key::Char('i'));
    assert_eq!(names(&model), ["calm", "busy", "__own"]);
}

#[test]
fn the_filter_takes_letters_that_are_commands_elsewhere() {
    let mut model = model(&[("quakes", 0, 0), ("alarms", 0, 0)]);
    for key in [Key::Char('/'), Key::Char('q'), Key::Enter, Key::Enter] {
        model.press(key);
    }
    assert!(!model.has_quit);
    assert_eq!(model.place, Place::Topic("quakes".to_owned()));
    model.press(Key::Escape);
    assert_eq!(names(&model).len(), 2);
}

#[test]
fn a_screen_of_80_by_24_shows_rates_and_says_what_it_cut() {
    let long = "a-name-that-is-much-longer-than-its-column-can-ever-be";
    let model = model(&[(long, 0, 2), ("busy", 0, 3_000_000)]);
    let lines = screen(&model, 3, 80, 24);
    assert_eq!(lines[0], "thalweg top   0 brokers  2 topics  0 groups   1.50M rec/s  143 MiB/s");
    assert_eq!(lines[2], "[1 topics]  2 groups   3 slowest   4 brokers");
    let head = "TOPIC                         PARTITIONS    REC/S    BYTES/S   RECORDS      SIZE";
    assert_eq!(lines[3], head);
    let busy = "busy                                   1    1.50M    143 MiB     3.00M   286 MiB";
    assert_eq!(lines[4], busy);
    assert!(lines[5].contains('…') && lines[5].ends_with("200 B"), "{:?}", lines[5]);
    assert!(
        lines[23].starts_with("q quit") && lines[23].ends_with("i internal"),
        "{:?}",
        lines[23]
    );
    assert!(screen(&model, 3, 120, 40)[5].starts_with(long));
}

/// The cursor stood on a place in the table: when rates changed, Enter opened another topic than the one that was chosen.
#[test]
fn what_was_chosen_stays_chosen_when_the_order_changes() {
    let mut model = model(&[("first", 0, 30), ("second", 0, 20), ("third", 0, 10)]);
    model.press(Key::Down);
    model.press(Key::Char('r'));
    assert_eq!(model.selected(&model.page()), 1);
    model.press(Key::Down);
    model.press(Key::Char('r'));
    assert_eq!((names(&model)[0].as_str(), model.selected(&model.page())), ("first", 0));
    model.press(Key::Down);
    model.press(Key::Enter);
    assert_eq!(model.place, Place::Topic("second".to_owned()));
}

#[test]
fn figures_stay_when_nobody_answers_and_their_age_is_told() {
    let mut model = model(&[("busy", 0, 20)]);
    model.hear(Heard::Silence { reason: "refused".to_owned() });
    let lines = screen(&model, 15, 80, 24);
    assert_eq!(lines[1], "NO ANSWER, figures are 12.0 s old: refused");
    assert!(lines[4].starts_with("busy"));
}

fn shards(numbers: std::ops::Range<i32>, code: ErrorCode, why: &str) -> Vec<MissingShard> {
    let shard = |number| MissingShard {
        shard: PartitionIndex::new(number),
        error: ApiError::new(code, format!("shard {number} of __consumer_offsets {why}")),
    };
    numbers.map(shard).collect()
}

fn not_described(group: &str, code: ErrorCode, why: &str) -> DescribedGroup {
    DescribedGroup {
        error: Some(ApiError::new(code, why)),
        group: group.to_owned(),
        kind: GroupKind::Consumer,
        state: GroupState::Empty,
        epoch: GroupEpoch::new(-1),
        assignor: String::new(),
        members: Vec::new(),
        offsets: Vec::new(),
        rebalances: 0,
        stall_ms: 0,
        commits_per_minute: 0,
    }
}

/// What the screen says of these shards and groups, and the line below.
fn said(shards: &[MissingShard], groups: &[DescribedGroup]) -> Vec<String> {
    let mut model = model(&[("busy", 0, 20)]);
    let mut sample = sample(4, Vec::new());
    sample.cluster.partitions_leaderless = 2;
    sample.groups_unknown = unknown::by_cause(shards, groups);
    model.hear(Heard::Sample(Box::new(sample)));
    let lines = screen(&model, 4, 80, 24);
    assert!(lines[23].starts_with("q quit"), "{lines:?}");
    let told = lines.iter().skip(1).take_while(|line| !line.starts_with("[1 topics]"));
    told.cloned().collect()
}

/// Only the first reason was told, of shards only, and it hid what partitions had.
#[test]
fn every_cause_for_which_groups_are_not_known_is_told_once_with_its_count() {
    let loading = ErrorCode::CoordinatorLoading;
    let mut missing = shards(0..2, loading, "could not be written and is read anew; ask again");
    missing.extend(shards(10..22, loading, "is loading; ask again"));
    let groups = [
        not_described("a", ErrorCode::TimedOut, "no answer within 500 ms"),
        not_described("b", ErrorCode::UnknownGroup, "there is no group \"b\""),
        not_described("c", ErrorCode::TimedOut, "no answer within 900 ms"),
    ];
    let expected = [
        "partitions: 2 without a leader, 0 under-replicated",
        "groups of 12 shards unknown: shard 10 of __consumer_offsets is loading; ask aga…",
        "groups of 2 shards unknown: shard 0 of __consumer_offsets could not be written …",
        "2 groups unknown: no answer within 500 ms",
    ];
    assert_eq!(said(&missing, &groups), expected);
    let alone = said(&missing[1..2], &groups[1..2]);
    let expected =
        "groups of 1 shard unknown: shard 1 of __consumer_offsets could not be written a…";
    assert_eq!(alone[1..], [expected]);
}

#[test]
fn however_many_causes_there_are_the_figures_have_room() {
    let why = ["is lost", "is found", "is late", "is new", "is old", "is blue"];
    let missing: Vec<_> =
        (0..).zip(why).flat_map(|(it, why)| shards(it..it + 1, ErrorCode::Internal, why)).collect();
    let said = said(&missing, &[]);
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(said[4], "groups unknown for 3 other causes as well");
}
