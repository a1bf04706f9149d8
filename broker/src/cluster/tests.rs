//! Random requests against the controller: whatever is asked, in whatever order, the image keeps its
//! invariants, its records read back from their bytes, and its snapshot leads to the same image.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastrand::Rng;
use thalweg_protocol::codec::{Reader, Writer};
use thalweg_protocol::{BrokerId, ClusterId, DirectoryId, PartitionIndex, TopicId, TopicPartition};

use super::controller::{
    self, IsrMember, IsrProposal, NewTopic, Refusal, Registration, Rules, TopicChange,
};
use super::delta::Delta;
use super::image::{Endpoint, Image};
use super::record::{AssignedReplica, Record};

const SEEDS: u64 = 60;
const REQUESTS: usize = 250;

/// Requests, many of them impossible, and how many were accepted.
struct Requests {
    rng: Rng,
    cluster: ClusterId,
    accepted: BTreeSet<&'static str>,
}

impl Requests {
    fn broker(&mut self) -> BrokerId {
        BrokerId::new(self.rng.i32(0..5))
    }

    fn name(&mut self) -> String {
        format!("t{}", self.rng.u8(0..8))
    }

    fn number(&mut self) -> String {
        self.rng.u8(1..5).to_string()
    }

    fn directory(&mut self) -> DirectoryId {
        DirectoryId::from_bytes([self.rng.u8(1..5); 16])
    }

    fn id(&mut self) -> TopicId {
        TopicId::from_bytes(std::array::from_fn(|_| self.rng.u8(..)))
    }

    fn next(&mut self, image: &Image) -> Result<Vec<Record>, Refusal> {
        match self.rng.u8(0..20) {
            0..=3 => controller::register(image, &self.registration()).map(|(records, _)| records),
            4..=6 => self.create(image),
            7 => controller::delete(image, &self.name()).map(|(records, _)| records),
            8..=9 => controller::alter(image, &self.change(), &Rules::default()),
            10..=13 => self.fence(image),
            14..=16 => self.propose_isr(image),
            17..=18 => self.assign(image),
            _ => controller::reserve(image, self.broker()).map(|(records, _)| records),
        }
    }

    fn registration(&mut self) -> Registration {
        let endpoint = Endpoint { listener: "l".to_owned(), host: "h".to_owned(), port: 9092 };
        Registration {
            cluster: self.cluster,
            broker: self.broker(),
            endpoints: vec![endpoint],
            rack: self.rng.bool().then(|| format!("r{}", self.rng.u8(0..3))),
            release: "0.1.0".to_owned(),
            directories: vec![self.directory()],
        }
    }

    fn create(&mut self, image: &Image) -> Result<Vec<Record>, Refusal> {
        let asked = NewTopic {
            name: self.name(),
            partitions: Some(self.rng.i32(-1..6)),
            replication_factor: Some(self.rng.i16(0..4)),
            configs: vec![("retention.ms".to_owned(), self.number())],
            internal: self.rng.u8(0..10) == 0,
        };
        let id = self.id();
        controller::create(image, &asked, id, &Rules::default()).map(|(records, _)| records)
    }

    fn change(&mut self) -> TopicChange {
        TopicChange {
            name: self.name(),
            partitions: self.rng.bool().then(|| self.rng.i32(0..9)),
            configs: vec![("retention.ms".to_owned(), self.rng.bool().then(|| self.number()))],
        }
    }

    fn fence(&mut self, image: &Image) -> Result<Vec<Record>, Refusal> {
        let broker = self.broker();
        let known = image.broker(broker).ok_or(Refusal::UnknownBroker { broker })?;
        controller::change_fence(image, broker, known.epoch, self.rng.u8(0..3) == 0)
    }

    fn propose_isr(&mut self, image: &Image) -> Result<Vec<Record>, Refusal> {
        let Some((topic, partition)) = self.rng.choice(image.partitions().collect::<Vec<_>>())
        else {
            return Ok(Vec::new());
        };
        let epoch =
            |broker: BrokerId| image.broker(broker).expect("replicas' brokers registered").epoch;
        if partition.leader == BrokerId::NONE {
            return Ok(Vec::new());
        }
        let members = partition.brokers().filter(|_| self.rng.u8(0..3) > 0);
        let isr = members.map(|broker| IsrMember { broker, broker_epoch: epoch(broker) }).collect();
        let proposal = IsrProposal {
            partition: TopicPartition::new(topic.id, partition.index),
            leader: partition.leader,
            broker_epoch: epoch(partition.leader),
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr,
        };
        controller::change_isr(image, &proposal)
    }

    fn assign(&mut self, image: &Image) -> Result<Vec<Record>, Refusal> {
        let broker = self.broker();
        let known = image.broker(broker).ok_or(Refusal::UnknownBroker { broker })?;
        let directory = self.directory();
        let all = image.partitions().map(|(topic, partition)| AssignedReplica {
            topic: topic.id,
            partition: partition.index,
            directory,
        });
        let some: Vec<_> = all.filter(|_| self.rng.bool()).collect();
        controller::assign_directories(image, broker, known.epoch, &some)
            .map(|(records, _)| records)
    }
}

#[test]
fn random_requests_keep_the_invariants() {
    let mut accepted = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut requests = Requests {
            rng: Rng::with_seed(seed),
            cluster: ClusterId::from_bytes([9; 16]),
            accepted: BTreeSet::new(),
        };
        let mut image = Image::default();
        for step in 0..REQUESTS {
            let Ok(records) = requests.next(&image) else { continue };
            requests.accepted.extend(records.iter().map(Record::name));
            check_stored_form(&records);
            let next = image
                .with_entry(image.index().next(), image.term(), &records)
                .unwrap_or_else(|error| panic!("seed {seed} step {step}: {error}\n{records:#?}"));
            check_image(&next);
            check_step(&image, &next);
            check_delta(&image, &next);
            image = next;
        }
        let snapshot =
            Image::default().with_entry(image.index(), image.term(), &image.to_records());
        assert_eq!(snapshot, Ok(image), "seed {seed}");
        accepted.extend(requests.accepted);
    }
    // A run in which a kind never came proves nothing about it.
    let rare = ["DirectoryRegistered"];
    assert_eq!(accepted.len(), 12 - rare.len(), "{accepted:?}");
}

fn check_stored_form(records: &[Record]) {
    for record in records {
        let mut writer = Writer::new();
        record.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Record::decode(&mut Reader::new(bytes.clone())).as_ref(), Ok(record));
        for cut in 0..bytes.len() {
            assert!(Record::decode(&mut Reader::new(bytes.slice(..cut))).is_err());
        }
    }
}

fn check_image(image: &Image) {
    let names: BTreeSet<_> = image.topics().map(|topic| topic.name.clone()).collect();
    assert_eq!(names.len(), image.topic_count());
    assert_eq!(image.partitions().count(), image.partition_count());
    for topic in image.topics() {
        assert_eq!(image.topic_named(topic.name.as_str()).map(|one| one.id), Some(topic.id));
        for (place, partition) in topic.partitions.iter().enumerate() {
            assert_eq!(usize::try_from(partition.index.get()), Ok(place));
            let replicas: BTreeSet<_> = partition.brokers().collect();
            assert_eq!(replicas.len(), partition.replicas.len());
            assert!(!partition.isr.is_empty());
            assert!(partition.isr.iter().all(|member| replicas.contains(member)));
            assert!(
                partition.leader == BrokerId::NONE || partition.isr.contains(&partition.leader)
            );
        }
    }
    let epochs: BTreeSet<_> = image.brokers().map(|broker| broker.epoch).collect();
    assert_eq!(epochs.len(), image.brokers().len());
}

fn check_step(old: &Image, new: &Image) {
    assert!(old.producer_next() <= new.producer_next());
    for broker in old.brokers() {
        assert!(broker.epoch <= new.broker(broker.id).unwrap().epoch);
    }
    for (topic, before) in old.partitions() {
        let at = TopicPartition::new(topic.id, before.index);
        let Some(after) = new.partition(at) else {
            assert!(new.topic(topic.id).is_none(), "partitions go with their topic only");
            continue;
        };
        assert!(before.leader_epoch <= after.leader_epoch);
        assert!(before.partition_epoch <= after.partition_epoch);
        if before.leader != after.leader {
            assert!(before.leader_epoch < after.leader_epoch);
            // Clean elections only: who leads now was in sync before.
            assert!(after.leader == BrokerId::NONE || before.isr.contains(&after.leader));
        }
        if before.isr != after.isr {
            assert!(before.partition_epoch < after.partition_epoch);
        }
        for replica in &before.replicas {
            let now = after.replica(replica.broker).unwrap().directory;
            assert!(replica.directory == DirectoryId::NONE || replica.directory == now);
        }
    }
}

fn check_delta(old: &Image, new: &Image) {
    let delta = Delta::between(old, new);
    let mut gone: BTreeSet<TopicId> = old.topics().map(|topic| topic.id).collect();
    let changed: BTreeSet<_> = delta.partitions_changed.iter().map(|(at, _)| *at).collect();
    for topic in new.topics() {
        let before = old.topic(topic.id);
        gone.remove(&topic.id);
        assert_eq!(before.is_none(), delta.topics_created.contains(topic));
        let configs = before.is_some_and(|before| before.configs != topic.configs);
        assert_eq!(configs, delta.configs_changed.contains(topic));
        for partition in &topic.partitions {
            let at = TopicPartition::new(topic.id, partition.index);
            let same = old.partition(at) == Some(partition);
            assert_eq!(!same, changed.contains(&at));
        }
    }
    let deleted: BTreeSet<_> = delta.topics_deleted.iter().map(|topic| topic.id).collect();
    assert_eq!(deleted, gone);
}

#[test]
fn a_delta_says_what_each_broker_has_to_do() {
    let mut requests = Requests {
        rng: Rng::with_seed(1),
        cluster: ClusterId::from_bytes([9; 16]),
        accepted: BTreeSet::new(),
    };
    let mut image = Image::default();
    for broker in [1, 2] {
        let asked = Registration { broker: BrokerId::new(broker), ..requests.registration() };
        let (records, _) = controller::register(&image, &asked).unwrap();
        image = image.with_entry(image.index().next(), image.term(), &records).unwrap();
    }
    let asked = NewTopic {
        name: "t".to_owned(),
        partitions: Some(4),
        replication_factor: Some(2),
        configs: Vec::new(),
        internal: false,
    };
    let (records, _) =
        controller::create(&image, &asked, requests.id(), &Rules::default()).unwrap();
    let with = image.with_entry(image.index().next(), image.term(), &records).unwrap();
    let one = BrokerId::new(1);
    let created = Delta::between(&image, &with);
    assert_eq!(created.to_lead(one).count(), 2);
    assert_eq!(created.to_follow(one).count(), 2);
    assert_eq!(created.to_delete(one).count(), 0);
    let deleted = Delta::between(&with, &image);
    assert_eq!((deleted.to_lead(one).count(), deleted.to_delete(one).count()), (0, 4));
    assert!(Delta::between(&with, &with).is_empty());
}

#[test]
fn unknown_kinds_and_later_versions_are_refused_with_what_to_do() {
    let bytes = |kind: u16, version: u16| {
        let mut writer = Writer::new();
        writer.u16(kind);
        writer.u16(version);
        writer.count(0);
        Reader::new(writer.into_bytes())
    };
    let kind = Record::decode(&mut bytes(999, 1)).unwrap_err().to_string();
    assert!(kind.contains("unknown kind 999") && kind.contains("later release"), "{kind}");
    let version = Record::decode(&mut bytes(9, 2)).unwrap_err().to_string();
    assert!(version.contains("TopicDeleted has version 2"), "{version}");
    assert!(Record::decode(&mut bytes(9, 0)).is_err());
}

#[test]
fn changing_one_partition_copies_no_other_topic() {
    let mut requests = Requests {
        rng: Rng::with_seed(2),
        cluster: ClusterId::from_bytes([9; 16]),
        accepted: BTreeSet::new(),
    };
    let asked = requests.registration();
    let (records, epoch) = controller::register(&Image::default(), &asked).unwrap();
    let mut image = Image::default()
        .with_entry(Image::default().index().next(), Image::default().term(), &records)
        .unwrap();
    for name in ["a", "b"] {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(3),
            replication_factor: Some(1),
            configs: Vec::new(),
            internal: false,
        };
        let (records, _) =
            controller::create(&image, &topic, requests.id(), &Rules::default()).unwrap();
        image = image.with_entry(image.index().next(), image.term(), &records).unwrap();
    }
    let assigned = AssignedReplica {
        topic: image.topic_named("a").unwrap().id,
        partition: PartitionIndex::new(1),
        directory: asked.directories[0],
    };
    let (records, _) =
        controller::assign_directories(&image, asked.broker, epoch, &[assigned]).unwrap();
    let next = image.with_entry(image.index().next(), image.term(), &records).unwrap();
    let shared = |name: &str, index: i32| {
        let of = |image: &Image| {
            Arc::clone(
                image.topic_named(name).unwrap().partition(PartitionIndex::new(index)).unwrap(),
            )
        };
        Arc::ptr_eq(&of(&image), &of(&next))
    };
    assert!(shared("a", 0) && !shared("a", 1) && shared("a", 2));
    assert!(Arc::ptr_eq(image.topic_named("b").unwrap(), next.topic_named("b").unwrap()));
}
