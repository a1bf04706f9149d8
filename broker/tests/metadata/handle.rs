//! The worker and its handle: answers come after the image, deadlines are kept, ids are never given twice.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use thalweg_broker::cluster::{
    AssignedReplica, FileMetadataLog, Image, MetadataError, MetadataHandle, MetadataIndex,
    MetadataLog, MetadataLogError, MetadataOptions, MetadataWorker, NewTopic, Publisher, Record,
    Refusal, Registration, Rules, Subscriber, TopicChange,
};
use thalweg_protocol::{ClusterId, ErrorCode, PartitionIndex, ProducerId, TopicId};
use thalweg_storage::defects::{Defect, plant};
use thalweg_storage::fs::sim::Crash;

use crate::sample::{BROKER, directory, disk, open};

const LONG: Duration = Duration::from_mins(1);

fn options(requests_max: usize) -> MetadataOptions {
    MetadataOptions { broker: BROKER, rules: Rules::default(), requests_max }
}

fn registration() -> Registration {
    Registration {
        cluster: ClusterId::from_bytes([1; 16]),
        broker: BROKER,
        endpoints: Vec::new(),
        rack: None,
        release: "0.1.0".to_owned(),
        directories: vec![directory(1)],
    }
}

fn new_topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(3),
        replication_factor: None,
        configs: Vec::new(),
        internal: false,
    }
}

/// Runs the worker on this thread and `ask` on a runtime of another one; ends with `ask`.
fn run<T: Send + 'static, F: Future<Output = T>>(
    log: impl MetadataLog,
    requests_max: usize,
    ask: impl FnOnce(MetadataHandle) -> F + Send + 'static,
) -> T {
    let publisher = Publisher::new(log.image());
    let (worker, handle) = MetadataWorker::new(options(requests_max), log, publisher);
    let asking = thread::spawn(move || runtime().block_on(ask(handle)));
    worker.run();
    asking.join().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_topics_life_is_answered_when_the_image_includes_it() {
    let disk = disk(1);
    run(open(&disk, 1 << 20).unwrap(), 16, |handle| async move {
        let epoch = handle.register_broker(registration(), LONG).await.unwrap();
        assert_eq!(handle.image().broker(BROKER).unwrap().epoch, epoch);

        let asked = vec![new_topic("a"), new_topic("a"), new_topic("b/c")];
        let would = handle.create_topics(asked.clone(), true, LONG).await.unwrap();
        assert_eq!(would[0].as_ref().unwrap().id, TopicId::NONE);
        assert_eq!(handle.image().topic_count(), 0);
        let created = handle.create_topics(asked, false, LONG).await.unwrap();
        let codes: Vec<_> =
            created.iter().map(|one| one.as_ref().err().map(Refusal::code)).collect();
        assert_eq!(codes, [None, Some(ErrorCode::TopicExists), Some(ErrorCode::InvalidTopicName)]);
        let would: Vec<_> = would.iter().map(|one| one.as_ref().err().map(Refusal::code)).collect();
        assert_eq!(would, codes);
        let id = created[0].as_ref().unwrap().id;
        assert_eq!(handle.image().topic_named("a").unwrap().id, id);

        let replicas = (0..3).map(|index| AssignedReplica {
            topic: id,
            partition: PartitionIndex::new(index),
            directory: directory(1),
        });
        let assigned = handle.assign_directories(BROKER, epoch, replicas.collect(), LONG).await;
        assert_eq!(assigned.unwrap(), vec![Ok(()); 3]);
        let image = handle.image();
        assert!(image.partitions().all(|(_, one)| one.replicas[0].directory == directory(1)));

        let change = TopicChange { name: "a".to_owned(), partitions: Some(4), configs: Vec::new() };
        handle.alter_topics(vec![change], false, LONG).await.unwrap()[0].clone().unwrap();
        assert_eq!(handle.image().topic(id).unwrap().partitions.len(), 4);
        let deleted = handle.delete_topics(vec!["a".to_owned()], LONG).await.unwrap();
        assert_eq!(deleted, [Ok(id)]);
        assert_eq!(handle.image().topic_count(), 0);
    });
    assert_eq!(open(&disk, 1 << 20).unwrap().image().topic_count(), 0);
}

#[test]
fn watchers_hear_of_a_change_in_their_order_and_before_the_answer() {
    let disk = disk(1);
    let log = open(&disk, 1 << 20).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (Arc::clone(&heard), Arc::clone(&heard));
    let publisher = Publisher::new(log.image())
        .watched_by("first", move |_, new, delta| {
            first.lock().unwrap().push(("first", new.index().get(), delta.topics_created.len()));
        })
        .watched_by("second", move |old, new, _| {
            assert_eq!(old.index().next(), new.index());
            second.lock().unwrap().push(("second", new.index().get(), 0));
        });
    let (worker, handle) = MetadataWorker::new(options(4), log, publisher);
    let worker = worker.spawn().unwrap();
    runtime().block_on(async {
        let mut newest = handle.subscribe();
        handle.register_broker(registration(), LONG).await.unwrap();
        handle.create_topics(vec![new_topic("a"), new_topic("b")], false, LONG).await.unwrap();
        let expected = [("first", 1, 0), ("second", 1, 0), ("first", 2, 2), ("second", 2, 0)];
        assert_eq!(*heard.lock().unwrap(), expected);
        newest.changed().await.unwrap();
        assert_eq!(newest.borrow().index(), MetadataIndex::new(2));
        drop(newest);
    });
    drop(handle);
    worker.join().unwrap();
}

/// Every id of `rounds` lives of the broker, with a power cut after each.
fn ids(rounds: u64) -> Vec<ProducerId> {
    let disk = disk(1);
    let mut ids = Vec::new();
    for round in 0..rounds {
        let log = open(&disk, 300).unwrap();
        ids.extend(run(log, 16, |handle| async move {
            handle.register_broker(registration(), LONG).await.unwrap();
            let mut ids = Vec::new();
            for _ in 0..1_500 {
                ids.push(handle.producer_id(LONG).await.unwrap());
            }
            ids
        }));
        disk.crash(Crash::seeded(round));
    }
    ids
}

fn are_unique(ids: &[ProducerId]) -> bool {
    ids.iter().collect::<BTreeSet<_>>().len() == ids.len()
}

#[test]
fn no_producer_id_is_given_out_twice_over_restarts_and_power_cuts() {
    let ids = ids(5);
    assert_eq!(ids.len(), 7_500);
    assert!(are_unique(&ids));
}

#[test]
fn an_id_counts_as_given_once_somebody_has_it() {
    let disk = disk(1);
    let log = open(&disk, 1 << 20).unwrap();
    run(log, 8, |handle| async move {
        let next = |id: ProducerId| ProducerId::new(id.get() + 1);
        assert!(!handle.has_given(ProducerId::new(0), LONG).await.unwrap(), "nothing is reserved");
        let first = handle.producer_id(LONG).await.unwrap();
        for (id, is_given) in [(ProducerId::NONE, false), (first, true), (next(first), false)] {
            assert_eq!(handle.has_given(id, LONG).await.unwrap(), is_given, "{id}");
        }
        let end = handle.image().producer_next();
        assert!(!handle.has_given(end, LONG).await.unwrap());
        let second = handle.producer_id(LONG).await.unwrap();
        assert_eq!((second, handle.has_given(second, LONG).await.unwrap()), (next(first), true));
    });
}

#[test]
fn the_planted_defect_producer_id_twice_is_seen() {
    let _guard = plant(Defect::ProducerIdTwice);
    assert!(!are_unique(&ids(2)), "the planted defect stayed unseen");
}

#[test]
fn a_failed_sync_fails_the_request_and_every_later_one() {
    let disk = disk(1);
    let log = open(&disk, 1 << 20).unwrap();
    let faults = disk.clone();
    run(log, 16, |handle| async move {
        handle.register_broker(registration(), LONG).await.unwrap();
        faults.fail_sync(1);
        for _ in 0..3 {
            let failed = handle.create_topics(vec![new_topic("a")], false, LONG).await;
            assert_eq!(failed.unwrap_err().code(), ErrorCode::StorageOffline);
            assert_eq!(handle.image().topic_count(), 0);
            assert!(handle.producer_id(LONG).await.is_err());
        }
    });
}

/// A log whose next proposal waits until the test lets it go on.
struct Held {
    log: FileMetadataLog,
    begun: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl MetadataLog for Held {
    fn image(&self) -> Arc<Image> {
        self.log.image()
    }

    fn subscribe(&mut self, subscriber: Subscriber) {
        self.log.subscribe(subscriber);
    }

    fn propose(&mut self, records: &[Record]) -> Result<MetadataIndex, MetadataLogError> {
        self.begun.send(()).unwrap();
        self.go_on.recv().unwrap();
        self.log.propose(records)
    }

    fn snapshot(&mut self) -> Result<MetadataIndex, MetadataLogError> {
        self.log.snapshot()
    }
}

#[test]
fn deadlines_say_whether_anything_may_have_happened_and_a_full_queue_refuses() {
    let disk = disk(1);
    let (begun, is_begun) = mpsc::channel();
    let (let_go, go_on) = mpsc::channel();
    let log = Held { log: open(&disk, 1 << 20).unwrap(), begun, go_on };
    run(log, 2, |handle| async move {
        // Sooner or later the worker begins before the deadline, and then it is held.
        let mut timeout = Duration::from_millis(1);
        loop {
            match handle.register_broker(registration(), timeout).await {
                Err(MetadataError::OutcomeUnknown { .. }) => break,
                Err(MetadataError::TimedOut { .. } | MetadataError::Overloaded { .. }) => {}
                other => panic!("{other:?}"),
            }
            timeout *= 2;
        }
        is_begun.recv().unwrap();
        // The next two wait until they are given up; the one after them finds no place.
        let create = |name: &'static str, timeout| {
            let handle = handle.clone();
            async move { handle.create_topics(vec![new_topic(name)], false, timeout).await }
        };
        for name in ["second", "third"] {
            let waiting = create(name, Duration::ZERO).await;
            assert!(matches!(waiting, Err(MetadataError::TimedOut { .. })), "{waiting:?}");
        }
        let fourth = create("fourth", LONG).await;
        assert!(matches!(fourth, Err(MetadataError::Overloaded { waiting: 2, .. })), "{fourth:?}");
        // What was begun takes effect after all; what was given up does not.
        for _ in 0..5 {
            let_go.send(()).unwrap();
        }
        let mut fifth = create("fifth", LONG).await;
        while matches!(fifth, Err(MetadataError::Overloaded { .. })) {
            tokio::task::yield_now().await;
            fifth = create("fifth", LONG).await;
        }
        assert!(fifth.unwrap()[0].is_ok());
        let image = handle.image();
        let names: Vec<_> = image.topics().map(|topic| topic.name.to_string()).collect();
        assert_eq!((image.brokers().len(), names), (1, vec!["fifth".to_owned()]));
        assert_eq!(image.index(), MetadataIndex::new(2));
    });
}

#[test]
fn requests_that_wait_together_share_one_sync() {
    let disk = disk(1);
    let (begun, is_begun) = mpsc::channel();
    let (let_go, go_on) = mpsc::channel();
    let log = Held { log: open(&disk, 1 << 20).unwrap(), begun, go_on };
    run(log, 100, |handle| async move {
        let register = tokio::spawn({
            let handle = handle.clone();
            async move { handle.register_broker(registration(), LONG).await }
        });
        tokio::task::yield_now().await;
        is_begun.recv().unwrap();
        let create = |number: usize| {
            let handle = handle.clone();
            let topic = new_topic(&format!("t{number}"));
            tokio::spawn(async move { handle.create_topics(vec![topic], false, LONG).await })
        };
        let creates: Vec<_> = (0..50).map(create).collect();
        tokio::task::yield_now().await;
        let_go.send(()).unwrap();
        let_go.send(()).unwrap();
        register.await.unwrap().unwrap();
        for create in creates {
            assert!(create.await.unwrap().unwrap()[0].is_ok());
        }
        assert_eq!(handle.image().index(), MetadataIndex::new(2));
        assert_eq!(handle.image().topic_count(), 50);
    });
}
