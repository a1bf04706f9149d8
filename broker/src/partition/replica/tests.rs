use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use thalweg_protocol::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use super::super::high_watermark::{Durability, Ends};
use super::super::isr::Member;
use super::super::leader::{Leadership, Progress, Rules};
use super::{Effect, Input, Replica};
use crate::base::Monotonic;

const ME: BrokerId = BrokerId::new(1);

fn broker(number: i32) -> BrokerId {
    BrokerId::new(number)
}

fn ends(log_end: i64, synced_end: i64) -> Ends {
    Ends { log_end: Offset::new(log_end), synced_end: Offset::new(synced_end) }
}

fn rules(durability: Durability, insync_replicas_min: usize) -> Rules {
    Rules { durability, insync_replicas_min, lag_max: Duration::from_secs(30) }
}

fn leadership(epoch: i32, partition_epoch: i32, replicas: &[i32], isr: &[i32]) -> Leadership {
    Leadership {
        epoch: LeaderEpoch::new(epoch),
        partition_epoch,
        replicas: replicas.iter().map(|number| broker(*number)).collect(),
        isr: isr.iter().map(|number| broker(*number)).collect(),
    }
}

fn replica(rules: Rules) -> Replica {
    Replica::new(Member { broker: ME, broker_epoch: BrokerEpoch::new(7) }, rules)
}

fn at(ms: u64) -> Monotonic {
    Monotonic::from_ms(ms)
}

fn lead(leadership: &Leadership, ends: Ends, high_watermark: i64) -> Input<'_> {
    Input::Lead { leadership, ends, high_watermark: Offset::new(high_watermark), now: at(0) }
}

fn appended(epoch: i32, log_end: i64) -> Input<'static> {
    Input::Appended { epoch: LeaderEpoch::new(epoch), log_end: Offset::new(log_end) }
}

fn synced(end: i64) -> Input<'static> {
    Input::Synced { synced_end: Offset::new(end) }
}

fn fetched(number: i32, log_end: i64, synced_end: i64, ms: u64) -> Input<'static> {
    Input::FollowerFetched(Progress {
        broker: broker(number),
        broker_epoch: BrokerEpoch::new(70 + i64::from(number)),
        ends: ends(log_end, synced_end),
        now: at(ms),
    })
}

fn advance(to: i64) -> Effect {
    Effect::AdvanceHighWatermark { to: Offset::new(to) }
}

/// Feeds the inputs and compares all effects.
fn check(replica: &mut Replica, inputs: &[Input<'_>], expected: &[Effect]) {
    let mut effects = Vec::new();
    for input in inputs {
        replica.step(input, &mut effects);
    }
    assert_eq!(effects, expected);
}

#[test]
fn alone_and_synced_the_high_watermark_follows_the_sync() {
    let mut replica = replica(rules(Durability::Synced, 1));
    let alone = leadership(0, 0, &[1], &[1]);
    check(
        &mut replica,
        &[lead(&alone, ends(0, 0), 0), appended(0, 10), appended(0, 25), synced(10), synced(25)],
        &[advance(10), advance(25)],
    );
}

#[test]
fn alone_and_replicated_the_high_watermark_follows_the_append() {
    let mut replica = replica(rules(Durability::Replicated, 1));
    let alone = leadership(0, 0, &[1], &[1]);
    check(
        &mut replica,
        &[lead(&alone, ends(0, 0), 0), appended(0, 10), synced(10)],
        &[advance(10)],
    );
}

#[test]
fn a_sole_replica_commits_on_taking_over_what_it_holds_durably() {
    let mut replica = replica(rules(Durability::Synced, 1));
    check(&mut replica, &[lead(&leadership(3, 0, &[1], &[1]), ends(40, 40), 12)], &[advance(40)]);
}

#[test]
fn high_watermark_waits_for_the_slowest_in_sync_replica() {
    let mut replica = replica(rules(Durability::Synced, 1));
    let three = leadership(0, 0, &[1, 2, 3], &[1, 2, 3]);
    check(
        &mut replica,
        &[
            lead(&three, ends(0, 0), 0),
            appended(0, 10),
            synced(10),
            fetched(2, 10, 10, 1),
            fetched(3, 10, 4, 2),
        ],
        &[advance(4)],
    );
}

#[test]
fn nothing_is_committed_below_min_insync_replicas() {
    let mut replica = replica(rules(Durability::Synced, 2));
    let shrunk = leadership(0, 0, &[1, 2], &[1]);
    check(&mut replica, &[lead(&shrunk, ends(0, 0), 0), appended(0, 5), synced(5)], &[]);
    assert!(!replica.leader().unwrap().has_enough_in_sync());
}

#[test]
fn a_follower_that_lags_leaves_and_counts_until_the_controller_confirms() {
    let mut replica = replica(rules(Durability::Synced, 1));
    let two = leadership(0, 4, &[1, 2], &[1, 2]);
    let shrunk = leadership(0, 5, &[1, 2], &[1]);
    let proposal = Effect::ProposeIsr {
        members: vec![Member { broker: ME, broker_epoch: BrokerEpoch::new(7) }],
        leader_epoch: LeaderEpoch::new(0),
        partition_epoch: 4,
    };
    check(
        &mut replica,
        &[
            lead(&two, ends(0, 0), 0),
            appended(0, 5),
            synced(5),
            Input::Tick { now: at(30_001) },
            Input::Tick { now: at(60_000) },
        ],
        &[proposal],
    );
    check(&mut replica, &[lead(&shrunk, ends(5, 5), 0)], &[advance(5)]);
}

#[test]
fn a_follower_that_caught_up_joins_with_its_broker_epoch() {
    let mut replica = replica(rules(Durability::Synced, 1));
    let shrunk = leadership(0, 0, &[1, 2], &[1]);
    let proposal = Effect::ProposeIsr {
        members: vec![
            Member { broker: ME, broker_epoch: BrokerEpoch::new(7) },
            Member { broker: broker(2), broker_epoch: BrokerEpoch::new(72) },
        ],
        leader_epoch: LeaderEpoch::new(0),
        partition_epoch: 0,
    };
    check(
        &mut replica,
        &[lead(&shrunk, ends(8, 8), 8), fetched(2, 7, 7, 1), fetched(2, 8, 8, 2)],
        &[proposal],
    );
    // The proposed member counts from now on: it could be elected.
    check(&mut replica, &[appended(0, 9), synced(9)], &[]);
    check(&mut replica, &[fetched(2, 9, 9, 3)], &[advance(9)]);
}

#[test]
fn what_an_older_epoch_says_changes_nothing() {
    let mut replica = replica(rules(Durability::Replicated, 1));
    let newer = leadership(5, 0, &[1], &[1]);
    let older = leadership(4, 9, &[1, 2], &[1, 2]);
    check(
        &mut replica,
        &[lead(&newer, ends(3, 3), 3), lead(&older, ends(3, 3), 3), appended(4, 90)],
        &[],
    );
    assert_eq!(replica.leader().unwrap().epoch(), LeaderEpoch::new(5));
}

#[test]
fn who_waits_is_told_when_the_leader_changes() {
    let mut replica = replica(rules(Durability::Synced, 1));
    let first = leadership(0, 0, &[1], &[1]);
    let second = leadership(1, 1, &[1], &[1]);
    check(
        &mut replica,
        &[lead(&first, ends(0, 0), 0), lead(&second, ends(0, 0), 0), Input::Resign, Input::Resign],
        &[Effect::FailWaiters, Effect::FailWaiters],
    );
}

/// What a random history does next.
#[derive(Clone, Debug)]
enum Step {
    Append(i64),
    Sync,
    Fetch { follower: i32, behind: i64, unsynced: i64 },
    Tick,
    Image(Vec<i32>),
    Refuse,
    NewEpoch,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_i64..20).prop_map(Step::Append),
        3 => Just(Step::Sync),
        6 => (2_i32..5, 0_i64..30, 0_i64..10)
            .prop_map(|(follower, behind, unsynced)| Step::Fetch { follower, behind, unsynced }),
        1 => Just(Step::Tick),
        1 => prop::sample::subsequence(vec![2, 3, 4], 0..=3).prop_map(Step::Image),
        1 => Just(Step::Refuse),
        1 => Just(Step::NewEpoch),
    ]
}

/// What the test itself knows of the cluster, kept apart from the replica.
struct Model {
    ends: Ends,
    followers: std::collections::BTreeMap<i32, Ends>,
    committed_isr: Vec<i32>,
    proposed_isr: Option<Vec<i32>>,
    epoch: i32,
    partition_epoch: i32,
    now_ms: u64,
}

impl Model {
    fn leadership(&self) -> Leadership {
        leadership(self.epoch, self.partition_epoch, &[1, 2, 3, 4], &self.committed_isr)
    }

    /// Every broker in the maximal in-sync set holds all below `to`.
    fn holds(&self, to: Offset, durability: Durability) -> bool {
        let mut members = self.committed_isr.clone();
        members.extend(self.proposed_isr.iter().flatten());
        members.iter().all(|member| {
            let ends = if *member == 1 {
                self.ends
            } else {
                self.followers.get(member).copied().unwrap_or(Ends::NOTHING)
            };
            ends.counted(durability) >= to
        })
    }
}

fn run(steps: &[Step], durability: Durability, insync_min: usize) {
    let mut replica = replica(rules(durability, insync_min));
    let mut model = Model {
        ends: ends(0, 0),
        followers: std::collections::BTreeMap::new(),
        committed_isr: vec![1, 2, 3],
        proposed_isr: None,
        epoch: 0,
        partition_epoch: 0,
        now_ms: 0,
    };
    let mut effects = Vec::new();
    let mut high_watermark = Offset::ZERO;
    replica.step(&lead(&model.leadership(), model.ends, 0), &mut effects);
    for step in steps {
        effects.clear();
        take(step, &mut replica, &mut model, high_watermark, &mut effects);
        for effect in &effects {
            match effect {
                Effect::AdvanceHighWatermark { to } => {
                    assert!(*to > high_watermark, "the high watermark only rises");
                    assert!(*to <= model.ends.log_end);
                    assert!(model.holds(*to, durability), "{to} is not held by the maximal set");
                    let proposed = model.proposed_isr.as_ref().map_or(usize::MAX, Vec::len);
                    assert!(model.committed_isr.len().min(proposed) >= insync_min);
                    high_watermark = *to;
                }
                Effect::ProposeIsr { members, leader_epoch, partition_epoch } => {
                    assert!(model.proposed_isr.is_none(), "one proposal at a time");
                    assert_eq!(leader_epoch.get(), model.epoch);
                    assert_eq!(*partition_epoch, model.partition_epoch);
                    assert!(members.iter().any(|member| member.broker == ME));
                    let members = members.iter().map(|member| member.broker.get());
                    model.proposed_isr = Some(members.collect());
                }
                Effect::FailWaiters => assert!(matches!(step, Step::NewEpoch)),
            }
        }
    }
}

fn take(
    step: &Step,
    replica: &mut Replica,
    model: &mut Model,
    high_watermark: Offset,
    effects: &mut Vec<Effect>,
) {
    model.now_ms += 1_000;
    let now = at(model.now_ms);
    match step {
        Step::Append(count) => {
            model.ends.log_end = model.ends.log_end.plus(*count);
            replica.step(&appended(model.epoch, model.ends.log_end.get()), effects);
        }
        Step::Sync => {
            model.ends.synced_end = model.ends.log_end;
            replica.step(&synced(model.ends.synced_end.get()), effects);
        }
        Step::Fetch { follower, behind, unsynced } => {
            let known = model.followers.get(follower).copied().unwrap_or(Ends::NOTHING);
            let log_end = (model.ends.log_end.get() - behind).max(known.log_end.get());
            let synced_end = (log_end - unsynced).max(known.synced_end.get());
            model.followers.insert(*follower, ends(log_end, synced_end));
            let input = fetched(*follower, log_end, synced_end, model.now_ms);
            replica.step(&input, effects);
        }
        Step::Tick => {
            model.now_ms += 31_000;
            replica.step(&Input::Tick { now: at(model.now_ms) }, effects);
        }
        Step::Image(members) => {
            // The controller commits some set, the proposed one or another; the leader is always in it.
            model.committed_isr = std::iter::once(1).chain(members.iter().copied()).collect();
            model.proposed_isr = None;
            model.partition_epoch += 1;
            let leadership = model.leadership();
            let high_watermark = Offset::ZERO;
            let input =
                Input::Lead { leadership: &leadership, ends: model.ends, high_watermark, now };
            replica.step(&input, effects);
        }
        Step::Refuse => {
            model.proposed_isr = None;
            replica.step(&Input::ProposalFailed, effects);
        }
        Step::NewEpoch => {
            model.epoch += 1;
            model.partition_epoch += 1;
            model.proposed_isr = None;
            // A new leader knows nothing of how far the others are.
            model.followers.clear();
            let leadership = model.leadership();
            let input =
                Input::Lead { leadership: &leadership, ends: model.ends, high_watermark, now };
            replica.step(&input, effects);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_committed_that_an_electable_replica_may_lack(
        steps in vec(step(), 1..120),
        synced in any::<bool>(),
        insync_min in 1_usize..4,
    ) {
        let durability = if synced { Durability::Synced } else { Durability::Replicated };
        run(&steps, durability, insync_min);
    }
}
