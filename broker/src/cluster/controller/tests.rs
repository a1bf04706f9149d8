//! The controller by tables: what a request makes of an image, record by record or refusal by refusal.

use std::sync::Arc;

use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, LeaderEpoch, PartitionIndex,
    ProducerId, TopicId, TopicPartition,
};

use super::*;
use crate::cluster::image::{Image, Partition, PartitionEpoch};
use crate::cluster::record::{AssignedReplica, Record};

fn cluster() -> ClusterId {
    ClusterId::from_bytes([7; 16])
}

fn directory(number: u8) -> DirectoryId {
    DirectoryId::from_bytes([number; 16])
}

fn topic_id(number: u8) -> TopicId {
    TopicId::from_bytes([number; 16])
}

fn registration(broker: i32, rack: Option<&str>) -> Registration {
    Registration {
        cluster: cluster(),
        broker: BrokerId::new(broker),
        endpoints: Vec::new(),
        rack: rack.map(str::to_owned),
        release: "0.1.0".to_owned(),
        directories: vec![directory(1), directory(2)],
    }
}

fn new_topic(name: &str, partitions: i32, replicas: i16) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(replicas),
        configs: Vec::new(),
        internal: false,
    }
}

fn apply(image: &Image, records: &[Record]) -> Image {
    image.with_entry(image.index().next(), image.term(), records).unwrap()
}

/// Brokers 0, 1, … in these racks.
fn brokers(racks: &[Option<&str>]) -> Image {
    let mut image = Image::default();
    for (broker, rack) in racks.iter().enumerate() {
        let asked = registration(i32::try_from(broker).unwrap(), *rack);
        image = apply(&image, &register(&image, &asked).unwrap().0);
    }
    image
}

fn with_topic(image: &Image, name: &str, id: u8, partitions: i32, replicas: i16) -> Image {
    let asked = new_topic(name, partitions, replicas);
    apply(image, &create(image, &asked, topic_id(id), &Rules::default()).unwrap().0)
}

fn partition(image: &Image, id: u8, index: i32) -> Arc<Partition> {
    let at = TopicPartition::new(topic_id(id), PartitionIndex::new(index));
    Arc::clone(image.partition(at).unwrap())
}

fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId::new).collect()
}

#[test]
fn the_first_registration_creates_the_cluster_and_a_stranger_is_refused() {
    let image = brokers(&[None]);
    assert_eq!((image.cluster(), image.metadata_version()), (cluster(), 1));
    let foreign = Registration { cluster: ClusterId::random(), ..registration(0, None) };
    assert!(matches!(register(&image, &foreign), Err(Refusal::ForeignCluster { .. })));
    let negative = registration(-1, None);
    assert!(matches!(register(&image, &negative), Err(Refusal::BrokerId { .. })));
}

#[test]
fn every_start_is_a_new_broker_epoch_and_raises_what_the_broker_leads_by_one_record() {
    let image = with_topic(&brokers(&[None, None]), "t", 1, 4, 2);
    let (records, epoch) = register(&image, &registration(1, None)).unwrap();
    assert_eq!(epoch, BrokerEpoch::new(3));
    assert_eq!(records.len(), 2, "{records:?}");
    let after = apply(&image, &records);
    for index in 0..4 {
        let (old, new) = (partition(&image, 1, index), partition(&after, 1, index));
        let raised = i32::from(old.leader == BrokerId::new(1));
        assert_eq!(new.leader, old.leader);
        assert_eq!(new.leader_epoch.get(), old.leader_epoch.get() + raised);
        assert_eq!(new.partition_epoch.get(), old.partition_epoch.get() + raised);
    }
}

#[test]
fn a_disk_that_is_away_stays_known() {
    let image = brokers(&[None]);
    let asked = Registration { directories: vec![directory(3)], ..registration(0, None) };
    let after = apply(&image, &register(&image, &asked).unwrap().0);
    let known = &after.broker(BrokerId::new(0)).unwrap().directories;
    assert_eq!(*known, [directory(3), directory(1), directory(2)]);
}

#[test]
fn topics_that_cannot_be_are_refused_with_a_code_and_a_sentence() {
    let image = with_topic(&brokers(&[None, None]), "there", 1, 1, 1);
    let rules = Rules { partitions_per_topic_max: 10, partitions_max: 5, ..Rules::default() };
    let twice = vec![("retention.ms".to_owned(), "1".to_owned()); 2];
    let too_many = vec![("min.insync.replicas".to_owned(), "2".to_owned())];
    let typo = vec![("retention.sm".to_owned(), "1".to_owned())];
    let table = [
        (new_topic("", 1, 1), ErrorCode::InvalidTopicName, "cannot be empty"),
        (new_topic("a/b", 1, 1), ErrorCode::InvalidTopicName, "'/'"),
        (new_topic("there", 1, 1), ErrorCode::TopicExists, "topic there exists"),
        (new_topic("t", 0, 1), ErrorCode::InvalidPartitions, "1 to 10"),
        (new_topic("t", -1, 1), ErrorCode::InvalidPartitions, "-1 partitions"),
        (new_topic("t", 11, 1), ErrorCode::InvalidPartitions, "11 partitions"),
        (new_topic("t", 5, 1), ErrorCode::TooManyPartitions, "limit of 5"),
        (new_topic("t", 1, 0), ErrorCode::InvalidReplicationFactor, "factor 0"),
        (new_topic("t", 1, -1), ErrorCode::InvalidReplicationFactor, "factor -1"),
        (new_topic("t", 1, 3), ErrorCode::InvalidReplicationFactor, "1 to 2"),
        (NewTopic { configs: twice, ..new_topic("t", 1, 1) }, ErrorCode::InvalidConfig, "twice"),
        (
            NewTopic { configs: too_many, ..new_topic("t", 1, 1) },
            ErrorCode::InvalidConfig,
            "min.insync.replicas",
        ),
        (
            NewTopic { configs: typo, ..new_topic("t", 1, 1) },
            ErrorCode::InvalidConfig,
            "retention.sm",
        ),
    ];
    for (asked, code, words) in table {
        let refusal = create(&image, &asked, topic_id(2), &rules).unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.to_string().contains(words), "{refusal} has no {words:?}");
    }
    assert!(create(&image, &new_topic("t", 4, 2), topic_id(2), &rules).is_ok());
}

#[test]
fn as_many_topics_as_the_limit_can_be_created_and_no_more() {
    let image = with_topic(&brokers(&[None]), "there", 1, 1, 1);
    let create = |image: &Image, topics_max| {
        let rules = Rules { topics_max, ..Rules::default() };
        create(image, &new_topic("t", 1, 1), topic_id(2), &rules)
    };
    assert!(create(&image, 2).is_ok());
    let refusal = create(&image, 1).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::TooManyPartitions);
    assert!(refusal.to_string().contains("there are 1 topics"), "{refusal}");
}

#[test]
fn a_request_that_leaves_numbers_open_takes_the_defaults() {
    let image = brokers(&[None, None, None]);
    let rules = Rules { partitions_default: 4, replication_factor_default: 2, ..Rules::default() };
    let asked = NewTopic { partitions: None, replication_factor: None, ..new_topic("t", 0, 0) };
    let (records, created) = create(&image, &asked, topic_id(1), &rules).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
    let after = apply(&image, &records);
    assert_eq!(after.topic_named("t").unwrap().partitions.len(), 4);
    assert_eq!(partition(&after, 1, 3).replicas.len(), 2);
}

#[test]
fn partitions_only_grow_and_settings_change_together_with_them() {
    let image = with_topic(&brokers(&[None]), "t", 1, 3, 1);
    let rules = Rules::default();
    let change = |partitions, configs: &[(&str, Option<&str>)]| {
        let owned =
            |(key, value): &(&str, Option<&str>)| ((*key).to_owned(), value.map(str::to_owned));
        let configs = configs.iter().map(owned).collect();
        TopicChange { name: "t".to_owned(), partitions, configs }
    };
    let shrink = alter(&image, &change(Some(2), &[]), &rules).unwrap_err();
    assert_eq!(shrink.to_string(), "topic t has 3 partitions: they can only grow, 2 asked for");
    assert_eq!(alter(&image, &change(Some(3), &[("retention.ms", None)]), &rules), Ok(Vec::new()));
    let grown = alter(&image, &change(Some(5), &[("retention.ms", Some("1"))]), &rules).unwrap();
    assert_eq!(
        grown.iter().map(Record::name).collect::<Vec<_>>(),
        ["PartitionsAdded", "TopicConfigChanged"]
    );
    let after = apply(&image, &grown);
    assert_eq!(after.topic_named("t").unwrap().partitions.len(), 5);
    assert_eq!(after.partition_count(), 5);
    assert_eq!(after.topic_named("t").unwrap().configs.get("retention.ms").unwrap(), "1");
    let back = alter(&after, &change(None, &[("retention.ms", None)]), &rules).unwrap();
    assert!(apply(&after, &back).topic_named("t").unwrap().configs.is_empty());
    let unknown = TopicChange { name: "u".to_owned(), ..change(None, &[]) };
    assert_eq!(alter(&image, &unknown, &rules).unwrap_err().code(), ErrorCode::UnknownTopic);
}

#[test]
fn a_deleted_topic_is_another_one_when_it_is_created_again() {
    let image = with_topic(&brokers(&[None]), "t", 1, 3, 1);
    let (records, id) = delete(&image, "t").unwrap();
    assert_eq!(id, topic_id(1));
    let gone = apply(&image, &records);
    assert_eq!((gone.topic_count(), gone.partition_count()), (0, 0));
    assert_eq!(delete(&gone, "t").unwrap_err().code(), ErrorCode::UnknownTopic);
    let again = with_topic(&gone, "t", 2, 1, 1);
    assert_eq!(again.topic_named("t").unwrap().id, topic_id(2));
    assert!(again.topic(topic_id(1)).is_none());
}

#[test]
fn internal_topics_are_not_deleted() {
    let image = brokers(&[None]);
    let asked = NewTopic { internal: true, ..new_topic("__consumer_offsets", 1, 1) };
    let image = apply(&image, &create(&image, &asked, topic_id(1), &Rules::default()).unwrap().0);
    let refusal = delete(&image, "__consumer_offsets").unwrap_err();
    assert!(matches!(refusal, Refusal::Internal { .. }), "{refusal}");
}

#[test]
fn replicas_are_even_over_brokers_and_no_rack_is_used_twice_while_another_is_free() {
    let racks = [Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")];
    let image = with_topic(&with_topic(&brokers(&racks), "t", 1, 12, 3), "u", 2, 6, 3);
    let mut led = [0; 6];
    let mut held = [0; 6];
    for (_, partition) in image.partitions() {
        let at = |broker: BrokerId| usize::try_from(broker.get()).unwrap();
        led[at(partition.leader)] += 1;
        let mut used: Vec<_> = partition.brokers().map(|broker| racks[at(broker)]).collect();
        partition.brokers().for_each(|broker| held[at(broker)] += 1);
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), 3, "{partition:?}");
        assert_eq!(partition.leader, partition.brokers().next().unwrap());
        assert_eq!(partition.isr, partition.brokers().collect::<Vec<_>>());
    }
    assert_eq!(led, [3; 6]);
    assert_eq!(held, [9; 6]);
}

#[test]
fn fenced_brokers_get_no_replicas() {
    let image = brokers(&[None, None]);
    let (broker, epoch) = (BrokerId::new(0), BrokerEpoch::new(1));
    let image = apply(&image, &change_fence(&image, broker, epoch, true).unwrap());
    let image = with_topic(&image, "t", 1, 3, 1);
    assert!(image.partitions().all(|(_, partition)| partition.leader == BrokerId::new(1)));
    let two = create(&image, &new_topic("u", 1, 2), topic_id(2), &Rules::default());
    assert_eq!(two.unwrap_err().code(), ErrorCode::InvalidReplicationFactor);
}

#[test]
fn the_directory_with_the_fewest_replicas_takes_the_next_one() {
    let image = with_topic(&brokers(&[None]), "t", 1, 3, 1);
    let (broker, epoch) = (BrokerId::new(0), BrokerEpoch::new(1));
    let both = [directory(1), directory(2)];
    assert_eq!(directory_for(&image, broker, &both, &[]), Some(directory(1)));
    assert_eq!(directory_for(&image, broker, &both, &[directory(1)]), Some(directory(2)));
    let assigned = [assignment(1, 0, 2)];
    let (records, _) = assign_directories(&image, broker, epoch, &assigned).unwrap();
    let image = apply(&image, &records);
    assert_eq!(
        directory_for(&image, broker, &[directory(2), directory(1)], &[]),
        Some(directory(1))
    );
    assert_eq!(directory_for(&image, broker, &[], &[]), None);
}

fn assignment(topic: u8, index: i32, into: u8) -> AssignedReplica {
    AssignedReplica {
        topic: topic_id(topic),
        partition: PartitionIndex::new(index),
        directory: directory(into),
    }
}

#[test]
fn a_replica_gets_its_directory_once_and_each_assignment_fails_on_its_own() {
    let image = with_topic(&brokers(&[None]), "t", 1, 3, 1);
    let (broker, epoch) = (BrokerId::new(0), BrokerEpoch::new(1));
    let asked =
        [assignment(1, 0, 1), assignment(9, 0, 1), assignment(1, 1, 9), assignment(1, 2, 2)];
    let (records, results) = assign_directories(&image, broker, epoch, &asked).unwrap();
    assert!(matches!(
        results[..],
        [
            Ok(()),
            Err(Refusal::UnknownPartition { .. }),
            Err(Refusal::UnknownDirectory { .. }),
            Ok(())
        ]
    ));
    assert_eq!(records.len(), 1);
    let image = apply(&image, &records);
    assert_eq!(partition(&image, 1, 0).replicas[0].directory, directory(1));
    assert_eq!(partition(&image, 1, 1).replicas[0].directory, DirectoryId::NONE);
    // The same again is no news; another directory would be a second life of the replica.
    let asked = [assignment(1, 0, 1), assignment(1, 2, 1)];
    let (records, results) = assign_directories(&image, broker, epoch, &asked).unwrap();
    assert!(records.is_empty());
    assert!(matches!(results[..], [Ok(()), Err(Refusal::DirectoryTaken { .. })]));
}

#[test]
fn an_earlier_life_of_a_broker_changes_nothing() {
    let image = brokers(&[None]);
    let image = apply(&image, &register(&image, &registration(0, None)).unwrap().0);
    let (broker, old) = (BrokerId::new(0), BrokerEpoch::new(1));
    let refused = |result: Result<Vec<Record>, Refusal>| {
        assert!(matches!(result, Err(Refusal::BrokerEpoch { .. })), "{result:?}");
    };
    refused(change_fence(&image, broker, old, true));
    refused(register_directory(&image, broker, old, directory(5)));
    refused(assign_directories(&image, broker, old, &[]).map(|(records, _)| records));
    let unknown = change_fence(&image, BrokerId::new(5), old, true);
    assert!(matches!(unknown, Err(Refusal::UnknownBroker { .. })));
}

/// What is left of a partition with replicas 0, 1, 2 after brokers are fenced (`-n - 1`) and let in (`n`).
#[track_caller]
fn check_election(steps: &[i32], leader: i32, leader_epoch: i32, isr: &[i32]) {
    let mut image = with_topic(&brokers(&[None, None, None]), "t", 1, 1, 3);
    for step in steps {
        let (number, fenced) = if *step < 0 { (-step - 1, true) } else { (*step, false) };
        let broker = BrokerId::new(number);
        let epoch = image.broker(broker).unwrap().epoch;
        image = apply(&image, &change_fence(&image, broker, epoch, fenced).unwrap());
    }
    let partition = partition(&image, 1, 0);
    assert_eq!(partition.leader, BrokerId::new(leader));
    assert_eq!(partition.leader_epoch, LeaderEpoch::new(leader_epoch));
    assert_eq!(partition.isr, ids(isr));
}

#[test]
fn only_a_replica_in_sync_leads_and_the_last_one_stays_in_the_set() {
    check_election(&[], 0, 0, &[0, 1, 2]);
    // The leader is fenced: the next in the list leads.
    check_election(&[-1], 1, 1, &[1, 2]);
    // A follower is fenced: the leader's epoch stays.
    check_election(&[-2], 0, 0, &[0, 2]);
    // A broker that comes back is not in sync and does not lead.
    check_election(&[-1, 0], 1, 1, &[1, 2]);
    // The last one is fenced: nobody leads, and nobody else may.
    check_election(&[-1, -2, -3], -1, 3, &[2]);
    check_election(&[-1, -2, -3, 0, 1], -1, 3, &[2]);
    // It comes back and leads again.
    check_election(&[-1, -2, -3, 0, 2], 2, 4, &[2]);
}

#[test]
fn a_stale_in_sync_proposal_is_refused() {
    let image = with_topic(&brokers(&[None, None, None]), "t", 1, 1, 2);
    let member = |broker: i32, epoch: i64| IsrMember {
        broker: BrokerId::new(broker),
        broker_epoch: BrokerEpoch::new(epoch),
    };
    let good = IsrProposal {
        partition: TopicPartition::new(topic_id(1), PartitionIndex::new(0)),
        leader: BrokerId::new(0),
        broker_epoch: BrokerEpoch::new(1),
        leader_epoch: LeaderEpoch::FIRST,
        partition_epoch: PartitionEpoch::FIRST,
        isr: vec![member(0, 1)],
    };
    let after = apply(&image, &change_isr(&image, &good).unwrap());
    assert_eq!(partition(&after, 1, 0).isr, ids(&[0]));
    assert_eq!(partition(&after, 1, 0).partition_epoch, PartitionEpoch::new(1));
    assert_eq!(partition(&after, 1, 0).leader_epoch, LeaderEpoch::FIRST);

    let refused = |asked: &IsrProposal, image: &Image| change_isr(image, asked).unwrap_err();
    assert!(matches!(refused(&good, &after), Refusal::StalePartition { .. }));
    let other =
        IsrProposal { leader: BrokerId::new(1), broker_epoch: BrokerEpoch::new(2), ..good.clone() };
    assert!(matches!(refused(&other, &image), Refusal::StaleLeader { .. }));
    let old = IsrProposal { leader_epoch: LeaderEpoch::new(-1), ..good.clone() };
    assert!(matches!(refused(&old, &image), Refusal::StaleLeader { .. }));
    let restarted = IsrProposal { isr: vec![member(0, 1), member(1, 1)], ..good.clone() };
    assert!(matches!(refused(&restarted, &image), Refusal::BrokerEpoch { .. }));
    for isr in [vec![], vec![member(1, 2)], vec![member(0, 1), member(2, 3)], vec![member(0, 1); 2]]
    {
        let asked = IsrProposal { isr, ..good.clone() };
        assert!(matches!(refused(&asked, &image), Refusal::Isr { .. }));
    }
}

#[test]
fn producer_id_blocks_follow_each_other() {
    let mut image = brokers(&[None]);
    let mut last = ProducerId::NONE;
    for _ in 0..3 {
        let (records, mut block) = reserve(&image, BrokerId::new(0)).unwrap();
        image = apply(&image, &records);
        let mut taken = 0;
        while let Some(id) = block.take() {
            assert!(last < id && id < image.producer_next());
            (last, taken) = (id, taken + 1);
        }
        assert_eq!(taken, 1_000);
    }
    assert_eq!(image.producer_next(), ProducerId::new(3_000));
}
