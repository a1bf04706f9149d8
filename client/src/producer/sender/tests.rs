mod brokers;
mod checks;
mod journal;
mod random;
mod steps;
mod turns;
mod world;

use std::thread;

use thalweg_protocol::native::{
    BrokerEndpoint, HandshakeResponse, MetadataResponse, PartitionMetadata, TopicMetadata,
};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId,
    TopicName,
};

use super::*;
use crate::config::ClientOptions;
use crate::connection::{Connection, hello};
use crate::pool::Lane;
use crate::record::Record;

const ADDRESS: &str = "127.0.0.1:9092";

fn metadata(topic: &str, id: TopicId) -> MetadataResponse {
    let leader = BrokerId::new(1);
    let partition = PartitionMetadata {
        partition: PartitionIndex::new(0),
        leader,
        leader_epoch: LeaderEpoch::FIRST,
        replicas: vec![leader],
        isr: vec![leader],
        offline: Vec::new(),
    };
    MetadataResponse {
        cluster: ClusterId::NONE,
        controller: leader,
        brokers: vec![BrokerEndpoint {
            id: leader,
            epoch: BrokerEpoch::new(1),
            host: "127.0.0.1".to_owned(),
            port: 9092,
            rack: None,
        }],
        topics: vec![TopicMetadata {
            error: None,
            name: topic.to_owned(),
            id,
            internal: false,
            partitions: vec![partition],
        }],
    }
}

/// A sender with one record to send to a leader whose connection has just ended.
fn sender() -> Sender {
    let router = Arc::new(Router::new(Arc::new(ClientOptions::default())));
    let (topic, id) = (TopicName::new("events").unwrap(), TopicId::from_bytes([7; 16]));
    router.metadata().want(&topic);
    router.metadata().update(&metadata("events", id), now());
    let address = ADDRESS.into();
    router.pool().put(&address, Lane::Produce, Connection::just_ended(&address, hello()));
    let options = ProducerOptions { linger: Some(Duration::ZERO), ..ProducerOptions::default() };
    let accumulator = Arc::new(Accumulator::new(&options));
    accumulator.learn(&topic, id, 1);
    drop(accumulator.try_append(&Record::to("events").value("v")).unwrap().unwrap());
    let (_, commands) = mpsc::channel(1);
    let (failures, stop) = (Arc::default(), CancellationToken::new());
    let mut sender = Sender::new(router, options, accumulator, failures, commands, stop);
    let (producer, epoch) = (ProducerId::new(7), ProducerEpoch::new(0));
    sender.identified(Ok(InitProducerResponse { producer, epoch }));
    sender
}

/// Once the sender offered the same batch to the dead connection for ever and never came back to notice that it was
/// dead: the producer stood still with one core busy.
#[test]
fn a_connection_that_ended_under_the_senders_hands_is_left_alone_for_a_moment() {
    let (done, is_done) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _within = runtime.enter();
        let mut sender = sender();
        let begun = now();
        sender.work();
        let retry_at = sender.brokers[ADDRESS].retry_at;
        done.send((sender.accumulator.counters.read(0), retry_at > Some(begun))).unwrap();
    });
    let (stats, is_left_alone) =
        is_done.recv_timeout(Duration::from_secs(10)).expect("the sender still spins");
    assert!(is_left_alone);
    assert_eq!((stats.in_flight, stats.retries, stats.records), (0, 0, 0));
}
