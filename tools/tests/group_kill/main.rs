//! Proves that a group misses nothing when its members are killed and paused: six real `thalweg consume --group` over 24
//! partitions read hash-chained records while members get SIGKILL, SIGSTOP for longer than their session, or SIGINT, at
//! random, and others are started in their place. Nothing may be missing; a record may come twice only where a kill or
//! a pause fell between the work on it and its commit, which is counted and shown.
//!
//! `N` is the number of records (50,000 without it), `SEED` chooses who is disturbed, how, and when. A run without a kill
//! or without a pause fails as vacuous, and so does one in which no kill fell between work and commit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../groups/ask.rs"]
mod ask;
mod chain;
#[path = "../groups/member.rs"]
mod member;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use thalweg_client::{Client, Producer, Record};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::ask::{describe, owners, until};
use crate::chain::Chain;
use crate::member::{Member, Said};
use crate::support::{Broker, DEADLINE, number};
use crate::tally::{Life, Read, judge};

const TOPIC: &str = "chained";
const PARTITIONS: i32 = 24;
const MEMBERS: usize = 6;

/// Records without `N`, and how many come in a second: the full proof, 1,000,000, takes about a minute.
const RECORDS: u64 = 50_000;
const RECORDS_PER_SECOND: u64 = 17_000;
/// The small proof is as long as some pauses need.
const PUBLISHING_MIN: Duration = Duration::from_secs(8);

/// How a member is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    /// SIGKILL.
    Kill,
    /// SIGSTOP until the group has put it out, then SIGCONT; it is killed when it has noticed.
    Pause,
    /// SIGINT: no disturbance at all, nothing may come twice.
    Leave,
}

#[derive(Debug, Default)]
struct Counts {
    kills: u64,
    pauses: u64,
    leaves: u64,
    /// Members that the group put out though nobody disturbed them: the machine was too busy.
    stalls: u64,
}

/// Whether it has heard that it was put out of the group.
fn was_lost(said: &Said) -> bool {
    said.err.iter().any(|line| line.starts_with("warning: group proof: lost"))
}

/// The group, and what is known of those that were in it.
struct Group<'a> {
    broker: &'a Broker,
    random: Rng,
    members: Vec<(String, Member)>,
    lives: Vec<Life>,
    started: usize,
    counts: Counts,
}

impl Group<'_> {
    fn start(&mut self) {
        self.started += 1;
        let args = ["--session-timeout", "2s", "--format", "%p %o %v"];
        let member = Member::start(self.broker, TOPIC, "proof", &args);
        self.members.push((format!("member {}", self.started), member));
    }

    /// Takes down what it has printed.
    fn bury(&mut self, name: String, member: &Member, was_disturbed: bool) {
        let said = member.said();
        let read = said.out.iter().map(|line| Read::parse(line)).collect();
        // A machine that stands still for a session is as good as a pause.
        let was_put_out = !was_disturbed && was_lost(&said);
        self.counts.stalls += u64::from(was_put_out);
        let was_disturbed = was_disturbed || was_put_out;
        self.lives.push(Life { name, was_disturbed, read });
    }

    fn lines(&self) -> usize {
        let buried: usize = self.lives.iter().map(|life| life.read.len()).sum();
        buried + self.members.iter().map(|(_, it)| it.said().out.len()).sum::<usize>()
    }

    /// Disturbs one of them, and starts another in its place.
    fn disturb(&mut self, how: Disturbance) {
        let chosen = self.random.usize(..self.members.len());
        let (name, mut member) = self.members.swap_remove(chosen);
        match how {
            Disturbance::Kill => {
                member.kill();
                self.counts.kills += 1;
            }
            Disturbance::Pause => {
                let id = member.id();
                member.signal(Signal::STOP);
                let broker = self.broker;
                until("a paused member is put out of the group", || {
                    (!describe(broker, "proof").to_string().contains(&id)).then_some(())
                });
                member.signal(Signal::CONT);
                // A zombie: what it commits now is refused, and it hears of it.
                member.wait_for("word of its end", was_lost);
                member.kill();
                self.counts.pauses += 1;
            }
            Disturbance::Leave => {
                assert_eq!(member.interrupt().code(), Some(0), "{:?}", member.said().err);
                self.counts.leaves += 1;
            }
        }
        self.bury(name, &member, how != Disturbance::Leave);
        self.start();
    }

    /// Waits until every partition has an owner and some more was read.
    fn settle(&mut self, more: usize) {
        let wanted = self.lines() + more;
        until("every partition has an owner again", || {
            let described = describe(self.broker, "proof");
            let owned = owners(&described).iter().flatten().count();
            let is_over = self.lines() >= wanted || described["lag_records"] == 0;
            (described["state"] == "stable" && owned == 24 && is_over).then_some(())
        });
    }
}

/// Publishes chained records at a steady rate; says how many went to each partition.
async fn publish(producer: Producer, records: u64) -> BTreeMap<i32, u64> {
    let lasting = Duration::from_millis(records * 1_000 / RECORDS_PER_SECOND).max(PUBLISHING_MIN);
    let mut chains: Vec<Chain> = (0..PARTITIONS).map(Chain::new).collect();
    let mut published = BTreeMap::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let begun = ticks.tick().await;
    let mut sent = 0;
    while sent < records {
        let share = Instant::now().duration_since(begun).as_secs_f64() / lasting.as_secs_f64();
        while sent < records && (sent as f64) < share * records as f64 {
            let partition = i32::try_from(sent % 24).unwrap();
            let value = chains[usize::try_from(partition).unwrap()].next();
            let record = Record::to(TOPIC).partition(partition).value(&value);
            // Closing waits for what is under way, and tells what failed.
            drop(producer.send(record).await.unwrap());
            *published.entry(partition).or_default() += 1;
            sent += 1;
        }
        ticks.tick().await;
    }
    producer.close().await.unwrap();
    published
}

async fn publisher(address: &str, records: u64) -> JoinHandle<BTreeMap<i32, u64>> {
    let client = Client::builder().bootstrap(address).client_name("chain").build().unwrap();
    let producer = client.producer().build().await.unwrap();
    tokio::spawn(publish(producer, records))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_when_members_are_killed_and_paused() {
    let records = number("N").unwrap_or(RECORDS);
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    broker.run(&["topic", "create", TOPIC, "-p", "24"]).good();
    let random = Rng::with_seed(number("SEED").unwrap_or(1));
    let mut group = Group {
        broker: &broker,
        random,
        members: Vec::new(),
        lives: Vec::new(),
        started: 0,
        counts: Counts::default(),
    };
    let publishing = publisher(&broker.address, records).await;
    let published = tokio::task::block_in_place(|| {
        for _ in 0..MEMBERS {
            group.start();
        }
        group.settle(500);
        // One of each at least, then what the seed says, as long as records come.
        let mut first = [Disturbance::Kill, Disturbance::Pause].into_iter();
        while !publishing.is_finished() {
            let any =
                [Disturbance::Kill, Disturbance::Kill, Disturbance::Pause, Disturbance::Leave];
            let how = first.next().unwrap_or_else(|| any[group.random.usize(..any.len())]);
            group.disturb(how);
            let more = group.random.usize(100..3_000);
            group.settle(more);
        }
        tokio::runtime::Handle::current().block_on(timeout(DEADLINE, publishing)).unwrap().unwrap()
    });
    let count = published.values().sum::<u64>();
    assert_eq!(count, records);
    tokio::task::block_in_place(|| {
        until("all is read and committed", || {
            let described = describe(&broker, "proof");
            let committed = described["partitions"].as_array().unwrap().iter();
            let committed: i64 = committed.filter_map(|it| it["committed"].as_i64()).sum();
            (committed == i64::try_from(records).unwrap()).then_some(())
        });
        for (name, mut member) in std::mem::take(&mut group.members) {
            assert_eq!(member.interrupt().code(), Some(0), "{:?}", member.said().err);
            group.bury(name, &member, false);
        }
    });
    let verdict = judge(&group.lives, &published);
    let Counts { kills, pauses, leaves, stalls } = group.counts;
    eprintln!(
        "{} records read by {} processes through {kills} kills, {pauses} pauses beyond the session, {leaves} \
         departures and {stalls} stalls of the machine: {} missing, {} read twice in {} overlaps, at most {} at once, each where a kill or a pause fell \
         between work and commit",
        verdict.records,
        group.started,
        records - verdict.records,
        verdict.doubled,
        verdict.overlaps,
        verdict.doubled_at_once_max
    );
    assert!(verdict.found.is_empty(), "{:#?}", &verdict.found[..verdict.found.len().min(20)]);
    assert_eq!(verdict.records, records);
    assert!(kills > 0 && pauses > 0, "vacuous: {:?}", group.counts);
    assert!(
        verdict.doubled > 0 || records < RECORDS,
        "vacuous: no kill fell between work and commit"
    );
}
