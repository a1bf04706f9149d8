//! What a group, a shard and a broker hold at most, and what a request may ask at most.

use thalweg_broker::coordinator::{
    Answer, Commit, CommitItem, DeleteOffsets, FetchOffsets, GroupError, GroupOptions, Heartbeat,
    Request, Subscription,
};
use thalweg_protocol::{ErrorCode, LeaderEpoch, MemberEpoch, Offset, TopicPartition};

use crate::rules::{Talk, heartbeat, join, owns, static_join, target};
use crate::world::at;

fn of_group(group: &str, beat: Heartbeat) -> Heartbeat {
    Heartbeat { group: group.to_owned(), ..beat }
}

fn with_pattern(pattern: &str, beat: Heartbeat) -> Heartbeat {
    let pattern = Some(pattern.to_owned());
    Heartbeat { subscription: Some(Subscription { names: vec![], pattern }), ..beat }
}

fn fetch(partitions: Vec<TopicPartition>) -> Request {
    Request::FetchOffsets(FetchOffsets {
        group: "g".to_owned(),
        member: String::new(),
        epoch: MemberEpoch::NONE,
        partitions: Some(partitions),
    })
}

fn delete(partitions: Vec<TopicPartition>) -> Request {
    Request::DeleteOffsets(DeleteOffsets { group: "g".to_owned(), partitions })
}

fn commit(offsets: &[(TopicPartition, i64)]) -> Request {
    let item = |(partition, offset): &(TopicPartition, i64)| CommitItem {
        partition: *partition,
        offset: Offset::new(*offset),
        leader_epoch: LeaderEpoch::new(0),
        metadata: String::new(),
    };
    let items = offsets.iter().map(item).collect();
    let (group, member) = ("g".to_owned(), String::new());
    Request::Commit(Commit { group, member, epoch: MemberEpoch::NONE, items })
}

#[test]
fn the_members_of_all_groups_together_are_bounded() {
    let mut talk = Talk::with(GroupOptions { members_all_max: 3, ..GroupOptions::default() });
    talk.topic("t", 4);
    talk.beat(static_join("a", "one")).unwrap();
    talk.beat(join("b", &["t"])).unwrap();
    talk.beat(of_group("h", join("c", &["t"]))).unwrap();
    for group in ["g", "h", "another"] {
        let full = talk.beat(of_group(group, join("d", &["t"]))).unwrap_err();
        assert!(matches!(full, GroupError::TooManyMembers { members: 3, .. }), "{full:?}");
        assert_eq!(full.code(), ErrorCode::GroupFull);
    }
    assert_eq!(talk.groups.count(), 2, "a refused member leaves no group behind");
    // Whoever takes another one's place is not one more; nor is who joins again.
    talk.beat(heartbeat("a", -2)).unwrap();
    talk.beat(static_join("e", "one")).unwrap();
    talk.beat(join("b", &["t"])).unwrap();
    talk.reload();
    assert_eq!(talk.groups.members(), 3);
    assert!(talk.beat(join("d", &["t"])).is_err());
    talk.beat(of_group("h", heartbeat("c", -1))).unwrap();
    talk.beat(join("d", &["t"])).unwrap();
    talk.wait(20_000);
    assert_eq!((talk.groups.members(), talk.groups.count()), (0, 0));
}

#[test]
fn one_request_names_a_bounded_number_of_partitions() {
    let mut talk = Talk::new();
    let t = talk.topic("t", 1);
    talk.commit("", -1, at(t, 0), 5).unwrap();
    let many = vec![at(t, 0); 100_001];
    let offsets: Vec<_> = many.iter().map(|at| (*at, 1)).collect();
    for request in [fetch(many.clone()), delete(many.clone()), commit(&offsets)] {
        let refused = talk.ask(request).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRequest);
        assert!(refused.to_string().contains("100001 partitions"), "{refused}");
    }
    assert_eq!(talk.committed(at(t, 0)).offset, Offset::new(5), "nothing was done");
    let a = talk.beat(join("a", &["t"])).unwrap().epoch.get();
    let refused = talk.beat(owns("a", a, &many)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidRequest);
}

#[test]
fn a_partition_that_is_named_twice_is_answered_as_if_asked_twice() {
    let mut talk = Talk::new();
    let t = talk.topic("t", 2);
    let (one, two) = (at(t, 0), at(t, 1));
    let committed = talk.ask(commit(&[(one, 5), (two, 6), (one, 9), (one, 7)]));
    assert_eq!(
        committed,
        Ok(Answer::Done(vec![(one, Ok(())), (two, Ok(())), (one, Ok(())), (one, Ok(()))]))
    );
    let Ok(Answer::Offsets(found)) = talk.ask(fetch(vec![one, two, one])) else { panic!() };
    let found: Vec<_> =
        found.into_iter().map(|(at, offset)| (at, offset.unwrap().offset.get())).collect();
    assert_eq!(found, [(one, 7), (two, 6), (one, 7)], "the last one counts");
    let deleted = talk.ask(delete(vec![one, one]));
    assert_eq!(deleted, Ok(Answer::Done(vec![(one, Ok(())), (one, Ok(()))])));
    assert_eq!(talk.committed(one).offset, Offset::NONE);
    assert_eq!(talk.committed(two).offset, Offset::new(6));
}

/// With more than 128 patterns about, each was compiled again with every change: a flood of them kept a whole core busy.
#[test]
fn a_pattern_is_compiled_once_however_much_comes_and_goes() {
    let mut talk = Talk::new();
    talk.topic("t-0", 1);
    for number in 0..300 {
        let (group, pattern) = (format!("g-{number}"), format!("t-.*|{number}"));
        talk.beat(of_group(&group, with_pattern(&pattern, join("a", &[])))).unwrap();
        talk.beat(of_group(&group, with_pattern(&pattern, join("b", &[])))).unwrap();
    }
    assert_eq!(talk.groups.compilations(), 300);
    for number in 1..5 {
        talk.topic(&format!("t-{number}"), 1);
        talk.look();
    }
    talk.beat(of_group("g-7", heartbeat("b", -1))).unwrap();
    assert_eq!(talk.groups.compilations(), 300);
    // Who is refused for another reason does not get his pattern compiled.
    let stranger = with_pattern("another-.*", heartbeat("nobody", 3));
    assert!(talk.beat(of_group("g-7", stranger)).is_err());
    assert_eq!(talk.groups.compilations(), 300);
}

#[test]
fn the_patterns_of_one_group_are_bounded() {
    let mut talk = Talk::new();
    let t = talk.topic("t", 1);
    for number in 0..100 {
        let pattern = format!("t|{number}");
        talk.beat(with_pattern(&pattern, join(&format!("m-{number}"), &[]))).unwrap();
    }
    let one_more = talk.beat(with_pattern("t|more", join("more", &[])));
    assert!(matches!(one_more, Err(GroupError::InvalidPattern { .. })), "{one_more:?}");
    talk.beat(with_pattern("t|7", join("more", &[]))).unwrap();
    let other = of_group("h", with_pattern("t|more", join("more", &[])));
    let other = talk.beat(other).unwrap();
    assert_eq!(target(&other), Some(vec![at(t, 0)]), "other groups are undisturbed");
}
