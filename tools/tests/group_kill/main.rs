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
mod publishing;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use fastrand::Rng;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::ask::{describe, owners, until};
use crate::member::{Member, Said};
use crate::publishing::Publishing;
use crate::support::{Broker, number};
use crate::tally::{Life, Read, judge};

pub const TOPIC: &str = "chained";
const MEMBERS: usize = 6;

/// Records without `N`: the full proof is 1,000,000.
const RECORDS: u64 = 50_000;

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
    /// Members that the group put out or did not answer though nobody disturbed them: the machine was too busy.
    stalls: u64,
}

/// Whether it ended without having committed what it printed last, and said so: it was put out, or nobody answered it.
fn was_unheard(said: &Said) -> bool {
    let is_so = |line: &String| {
        let was_refused = line.contains("; what was not committed is read again");
        line.starts_with("warning: ") && (was_refused || line.contains("nobody has answered"))
    };
    said.err.iter().any(is_so)
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

impl<'a> Group<'a> {
    fn new(broker: &'a Broker) -> Self {
        let random = Rng::with_seed(number("SEED").unwrap_or(1));
        let (members, lives) = (Vec::new(), Vec::new());
        Self { broker, random, members, lives, started: 0, counts: Counts::default() }
    }

    fn start(&mut self) {
        self.started += 1;
        let args = ["--session-timeout", "2s", "--format", "%p %o %v"];
        let member = Member::start(self.broker, TOPIC, "proof", &args);
        member.id();
        self.members.push((format!("member {}", self.started), member));
    }

    /// Takes down what it has printed.
    fn bury(&mut self, name: String, member: &Member, was_disturbed: bool) {
        let said = member.said();
        let read = said.out.iter().map(|line| Read::parse(line)).collect();
        // A machine that stands still for a session is as good as a pause.
        let was_put_out = !was_disturbed && was_unheard(&said);
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

    /// Members are disturbed as long as records come: a kill and a pause at least, then as the seed says. Records come once
    /// all members are there, however long that takes.
    fn live_through(&mut self, publishing: &Publishing) {
        for _ in 0..MEMBERS {
            self.start();
        }
        publishing.begin();
        self.settle(500);
        let any = [Disturbance::Kill, Disturbance::Kill, Disturbance::Pause, Disturbance::Leave];
        let mut first = [Disturbance::Kill, Disturbance::Pause].into_iter();
        loop {
            let how = match first.next() {
                Some(how) => how,
                None if publishing.is_finished() => return,
                None => any[self.random.usize(..any.len())],
            };
            self.disturb(how);
            let more = self.random.usize(100..3_000);
            self.settle(more);
        }
    }

    /// Waits until all is read and committed, and ends the members.
    fn end(&mut self, records: u64) {
        until("all is read and committed", || {
            let described = describe(self.broker, "proof");
            let partitions = described["partitions"].as_array().unwrap().iter();
            let committed: u64 = partitions.filter_map(|it| it["committed"].as_u64()).sum();
            (committed == records).then_some(())
        });
        self.leave();
    }

    /// Ends the members as one ends them.
    fn leave(&mut self) {
        for (name, mut member) in std::mem::take(&mut self.members) {
            assert_eq!(member.interrupt().code(), Some(0), "{:?}", member.said().err);
            self.bury(name, &member, false);
        }
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

/// A broker with the topic.
fn broker(folder: &TempDir, defect: Option<&str>) -> Broker {
    let data = folder.path().join("data");
    let broker = match defect {
        Some(defect) => Broker::start_with_defect(&data, defect),
        None => Broker::start(&data),
    };
    broker.run(&["topic", "create", TOPIC, "-p", "24"]).good();
    broker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_when_members_are_killed_and_paused() {
    let records = number("N").unwrap_or(RECORDS);
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, None);
    let mut group = Group::new(&broker);
    let publishing = Publishing::start(&broker.address, records).await;
    tokio::task::block_in_place(|| group.live_through(&publishing));
    let published = publishing.all().await;
    assert_eq!(published.values().sum::<u64>(), records);
    tokio::task::block_in_place(|| group.end(records));
    let verdict = judge(&group.lives, &published);
    let (started, Counts { kills, pauses, leaves, stalls }) = (group.started, &group.counts);
    eprintln!(
        "{} records read by {started} processes through {kills} kills, {pauses} pauses beyond the session, {leaves} \
         departures and {stalls} stalls of the machine: {} missing, {} read twice in {} overlaps, at most {} at once",
        verdict.records,
        records - verdict.records,
        verdict.doubled,
        verdict.overlaps,
        verdict.doubled_at_once_max
    );
    let found = &verdict.found;
    assert!(found.is_empty(), "{:#?}", &found[..found.len().min(20)]);
    assert_eq!(verdict.records, records);
    assert!(*kills > 0 && *pauses > 0, "vacuous: {:?}", group.counts);
    let is_vacuous = verdict.doubled == 0 && records >= RECORDS;
    assert!(!is_vacuous, "vacuous: no kill fell between work and commit");
    // Whoever stood still is excused for what was read twice: that must not be everybody.
    assert!(stalls * 2 <= started as u64, "vacuous: {:?} of {started}", group.counts);
}

#[cfg(feature = "defects")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_assigns_before_release_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(&folder, Some("assign-before-release"));
    let mut group = Group::new(&broker);
    // More than is read, so that each that comes finds others at work.
    let publishing = Publishing::start(&broker.address, 20 * RECORDS).await;
    publishing.begin();
    tokio::task::block_in_place(|| {
        // Each that comes takes partitions from those that read them.
        for _ in 0..MEMBERS {
            group.start();
            let wanted = group.lines() + 2_000;
            until("some more is read", || {
                describe(&broker, "proof");
                (group.lines() >= wanted || publishing.is_finished()).then_some(())
            });
        }
    });
    let published = publishing.end().await;
    tokio::task::block_in_place(|| group.leave());
    let found = judge(&group.lives, &published).found;
    let shown = found.iter().find(|one| one.contains("both read"));
    eprintln!("assign-before-release is caught by: {shown:?}");
    assert!(shown.is_some(), "nobody read what another one read: {:?}", found.first());
}
