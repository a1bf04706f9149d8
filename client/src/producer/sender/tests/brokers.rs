//! The other side of the sender's random test: brokers that store batches as real ones do, and answer when they are told to.
//!
//! A partition's log moves with its leadership: no record is lost, as with `acks=all`. Faults come from the same seeded chance
//! as all else.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use fastrand::Rng;
use thalweg_protocol::batch::Batch as WireBatch;
use thalweg_protocol::native::{
    ApiError, LeaderHint, ProducePartition, ProduceRequest, ProducedPartition, ProducedTopic,
};
use thalweg_protocol::{ErrorCode, Offset, TimestampMs};

use super::journal::Journal;
use super::*;
use crate::connection::{Held, Reply};

/// How many brokers there are; their ids begin at 1.
pub(super) const BROKERS: i32 = 3;

/// How many partitions the topic has.
pub(super) const PARTITIONS: usize = 5;

/// How many batches a broker remembers of a producer.
const REMEMBERED: usize = 5;

pub(super) fn address(broker: i32) -> Arc<str> {
    format!("127.0.0.1:{broker}").into()
}

pub(super) fn index(partition: PartitionIndex) -> usize {
    usize::try_from(partition.get()).unwrap()
}

/// The log of one partition, and what it remembers of the producer.
#[derive(Default)]
pub(super) struct Log {
    /// The numbers of its records, as they lie in it.
    pub(super) records: Vec<u64>,
    epoch: i16,
    /// None as long as nothing came from this producer.
    next: Option<i32>,
    recent: VecDeque<i32>,
}

impl Log {
    fn append(&mut self, bytes: &bytes::Bytes) -> Result<(), ErrorCode> {
        let batch = WireBatch::decode(bytes).unwrap();
        batch.verify_checksum().unwrap();
        let header = &batch.header;
        if header.producer != ProducerId::NONE {
            let (epoch, first) = (header.producer_epoch.get(), header.base_sequence.get());
            if !self.is_new(epoch, first)? {
                return Ok(());
            }
            if epoch > self.epoch {
                self.recent.clear();
            }
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(first);
            (self.epoch, self.next) = (epoch, Some(first + header.record_count));
        }
        for record in &batch.records().unwrap() {
            let value = record.unwrap().value.unwrap();
            self.records.push(u64::from_be_bytes(value[..8].try_into().unwrap()));
        }
        Ok(())
    }

    /// Somebody else had the producer's next epoch, and used it here.
    fn fence(&mut self) {
        self.epoch += 1;
        self.next = Some(0);
        self.recent.clear();
    }

    /// Whether the batch is no duplicate; an error if it does not follow what is here.
    fn is_new(&self, epoch: i16, first: i32) -> Result<bool, ErrorCode> {
        let Some(next) = self.next else {
            return if first == 0 { Ok(true) } else { Err(ErrorCode::UnknownProducer) };
        };
        match (epoch.cmp(&self.epoch), first.cmp(&next)) {
            (Ordering::Less, _) => Err(ErrorCode::FencedProducerEpoch),
            (Ordering::Greater, _) if first == 0 => Ok(true),
            (Ordering::Equal, _) if self.recent.contains(&first) => Ok(false),
            (Ordering::Equal, Ordering::Equal) => Ok(true),
            (Ordering::Equal, Ordering::Less) => Err(ErrorCode::DuplicateSequence),
            _ => Err(ErrorCode::OutOfOrderSequence),
        }
    }
}

/// A request that was not answered yet.
pub(super) struct Asked {
    broker: i32,
    pub(super) request: ProduceRequest,
    reply: Reply,
    /// None when it was lost on its way to the broker.
    response: Option<ProduceResponse>,
}

/// All brokers.
pub(super) struct Brokers {
    pub(super) random: Rng,
    pub(super) journal: Journal,
    /// Whether anything goes wrong that nobody ordered.
    pub(super) is_faulty: bool,
    /// How many requests a broker has from one producer at a time.
    pub(super) requests_max: u32,
    pub(super) bytes_max: u32,
    /// By which topic of the name they have now.
    pub(super) topic: u8,
    /// Whether those who are asked for it do not know it.
    pub(super) is_missing: bool,
    /// Leader and epoch of each partition. A leader that is no broker leads nothing.
    pub(super) leaders: [(i32, i32); PARTITIONS],
    pub(super) logs: BTreeMap<(u8, usize), Log>,
    pub(super) asked: Vec<Asked>,
    connections: BTreeMap<i32, Held>,
}

impl Brokers {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            journal: Journal::new(seed),
            is_faulty: false,
            requests_max: 32,
            bytes_max: 1 << 20,
            topic: 1,
            is_missing: false,
            leaders: [(1, 1); PARTITIONS],
            logs: BTreeMap::new(),
            asked: Vec::new(),
            connections: BTreeMap::new(),
        }
    }

    pub(super) fn topic_id(&self) -> TopicId {
        TopicId::from_bytes([self.topic; 16])
    }

    /// What they say when they are asked who leads.
    pub(super) fn metadata(&self) -> MetadataResponse {
        let mut answer = metadata("events", self.topic_id());
        answer.topics[0].error =
            self.is_missing.then(|| ApiError::new(ErrorCode::UnknownTopic, "test"));
        let (broker, partition) = (answer.brokers.remove(0), answer.topics[0].partitions.remove(0));
        answer.brokers.extend((1..=BROKERS).map(|id| BrokerEndpoint {
            id: BrokerId::new(id),
            port: u16::try_from(id).unwrap(),
            ..broker.clone()
        }));
        let leaders = (0..).zip(&self.leaders);
        answer.topics[0].partitions.extend(leaders.map(|(index, (leader, epoch))| {
            PartitionMetadata {
                partition: PartitionIndex::new(index),
                leader: BrokerId::new(*leader),
                leader_epoch: LeaderEpoch::new(*epoch),
                ..partition.clone()
            }
        }));
        answer
    }

    pub(super) fn is_connected(&self, broker: i32) -> bool {
        self.connections.contains_key(&broker)
    }

    pub(super) fn connect(&mut self, broker: i32) -> Connection {
        let (requests, bytes) = (2 * self.requests_max, self.bytes_max);
        let hello = HandshakeResponse {
            requests_in_flight_max: requests,
            bytes_in_flight_max: bytes,
            ..hello()
        };
        let (connection, held) = Connection::held(&address(broker), hello);
        self.connections.insert(broker, held);
        connection
    }

    /// The connection ends, and with it every request that was sent over it; false if there is none.
    pub(super) fn disconnect(&mut self, broker: i32) -> bool {
        let Some(held) = self.connections.remove(&broker) else {
            return false;
        };
        held.end();
        self.journal.note("connection ended", broker);
        for asked in self.asked.extract_if(.., |asked| asked.broker == broker) {
            asked.reply.failed(lost(broker));
        }
        true
    }

    /// Takes what was sent since, in the order in which it was sent.
    pub(super) fn take_requests(&mut self) {
        let mut came = Vec::new();
        for (broker, held) in &mut self.connections {
            while let Some((request, reply)) = held.next::<ProduceRequest>() {
                came.push((*broker, request, reply));
            }
        }
        for (broker, request, reply) in came {
            let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
            let partitions: Vec<_> = partitions.map(|one| index(one.partition)).collect();
            self.journal.note("sent", format_args!("to {broker}, partitions {partitions:?}"));
            let response = if self.happens("request lost", 14) {
                None
            } else {
                Some(self.produce(broker, &request))
            };
            self.asked.push(Asked { broker, request, reply, response });
        }
    }

    /// The answer to one request comes, or it is lost.
    pub(super) fn answer(&mut self, at: usize) {
        let Asked { broker, reply, response, .. } = self.asked.remove(at);
        self.journal.note("answered", broker);
        match response {
            Some(response) if !self.happens("answer lost", 14) => reply.good(&response),
            _ => reply.failed(lost(broker)),
        }
    }

    /// One time in `chances` while things go wrong.
    fn happens(&mut self, what: &'static str, chances: u32) -> bool {
        let happens = self.is_faulty && self.random.u32(..chances) == 0;
        if happens {
            self.journal.note(what, "");
        }
        happens
    }

    fn produce(&mut self, broker: i32, request: &ProduceRequest) -> ProduceResponse {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let is_known = topic.topic == self.topic_id();
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|one| self.produce_to(broker, is_known, one)).collect();
            topics.push(ProducedTopic { topic: topic.topic, partitions });
        }
        ProduceResponse { topics }
    }

    fn produce_to(
        &mut self,
        broker: i32,
        is_known: bool,
        one: &ProducePartition,
    ) -> ProducedPartition {
        let mut hint = None;
        let led = (broker, one.leader_epoch.get()) == self.leaders[index(one.partition)];
        let outcome = if !led || !is_known {
            Err(ErrorCode::NotLeader)
        } else if self.happens("leader resigned", 20) {
            hint = self.resign(one.partition);
            Err(ErrorCode::NotLeader)
        } else if self.happens("batch refused", 40) {
            Err(ErrorCode::BatchTooLarge)
        } else if self.happens("not stored, and nobody knows", 20) {
            Err(ErrorCode::OutcomeUnknown)
        } else {
            let is_fenced = self.happens("epoch raised by another", 60);
            let log = self.logs.entry((self.topic, index(one.partition))).or_default();
            if is_fenced {
                log.fence();
            }
            let outcome = log.append(&one.records);
            let is_unsaid = self.happens("maybe stored, and nobody knows", 20);
            if is_unsaid { Err(ErrorCode::OutcomeUnknown) } else { outcome }
        };
        if let Err(code) = outcome {
            self.journal.note(code.text(), format_args!("{broker}, partition {}", one.partition));
        }
        ProducedPartition {
            partition: one.partition,
            error: outcome.err().map(|code| ApiError::new(code, "test")),
            base_offset: Offset::new(1),
            log_append_time: TimestampMs::NONE,
            log_start: Offset::ZERO,
            leader: hint,
        }
    }

    /// Another one leads now; half of the time the one who led knows who.
    fn resign(&mut self, partition: PartitionIndex) -> Option<LeaderHint> {
        if self.random.bool() {
            return None;
        }
        let leader = self.random.i32(1..=BROKERS);
        let leader_epoch = self.lead(index(partition), leader);
        self.journal.note("hint", format_args!("{leader} leads {partition}"));
        Some(LeaderHint { leader: BrokerId::new(leader), leader_epoch })
    }

    /// Makes this one lead, in a new epoch.
    pub(super) fn lead(&mut self, partition: usize, leader: i32) -> LeaderEpoch {
        let (led_by, epoch) = &mut self.leaders[partition];
        *led_by = leader;
        *epoch += 1;
        LeaderEpoch::new(*epoch)
    }
}

fn lost(broker: i32) -> CallError {
    let (address, reason) = (address(broker).to_string(), "lost by the test".to_owned());
    CallError::Lost { address, api: "Produce", reason, sent: true }
}
