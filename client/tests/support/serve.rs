//! Connections of the fake broker: frames in, answers out, faults in between.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use thalweg_protocol::codec::Reader;
use thalweg_protocol::frame::{
    FrameReader, decode_body, decode_request_header, error_frame, response_frame,
};
use thalweg_protocol::native::{
    Acks, AlterTopicsRequest, AlterTopicsResponse, Api, ApiError, ApiRange, BrokerEndpoint,
    CreateTopicsRequest, CreateTopicsResponse, CreatedTopic, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DeletedRecordsPartition,
    DeletedRecordsTopic, DescribeClusterResponse, DescribeTopicsRequest, DescribeTopicsResponse,
    DescribedPartition, DescribedTopic, EpochEnd, FetchRequest, FetchResponse, FetchedPartition,
    FetchedTopic, HandshakeRequest, HandshakeResponse, InitProducerRequest, InitProducerResponse,
    LeaderEpochRequest, LeaderEpochResponse, LeaderHint, ListOffsetsRequest, ListOffsetsResponse,
    ListedPartition, ListedTopic, MetadataRequest, MetadataResponse, OffsetQuery, PREFACE,
    PartitionEpochEnd, PartitionMetadata, ProduceRequest, ProduceResponse, ProducedPartition,
    ProducedTopic, RequestHeader, ResponseHeader, TopicEpochEnds, TopicMetadata, TopicResult, Wire,
};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, ErrorCode, LeaderEpoch, Offset, PartitionIndex,
    ProducerEpoch, ProducerId, TimestampMs, TopicId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Fault, State, Topic};

#[derive(Clone)]
pub struct Server {
    pub id: i32,
    pub state: Arc<Mutex<State>>,
    pub connections: Arc<AtomicUsize>,
    pub token: CancellationToken,
    /// A part of it has panicked.
    pub broken: Arc<AtomicBool>,
}

/// Answers that are larger can be held up before their end.
const LARGE_BYTES: usize = 64 * 1024;

/// What is held back of them.
const TAIL_BYTES: usize = 1000;

type Answers = mpsc::UnboundedSender<Vec<Bytes>>;

impl Server {
    /// Runs a part of the broker. To clients its panic looks like a connection that ends, which they bear: it is noted.
    pub fn spawn(&self, part: impl Future<Output = ()> + Send + 'static) {
        let broken = self.broken.clone();
        tokio::spawn(async move {
            if AssertUnwindSafe(part).catch_unwind().await.is_err() {
                broken.store(true, Ordering::SeqCst);
            }
        });
    }

    pub async fn accept(self, listener: TcpListener) {
        loop {
            tokio::select! {
                () = self.token.cancelled() => return,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        self.spawn(self.clone().connection(stream));
                    }
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        // An answer would else wait for the client's next request, however soon it was given.
        stream.set_nodelay(true).unwrap();
        let token = self.token.child_token();
        tokio::select! {
            () = token.cancelled() => {}
            () = self.clone().serve(stream, token.clone()) => {}
        }
        token.cancel();
        self.connections.fetch_sub(1, Ordering::SeqCst);
    }

    async fn serve(self, stream: TcpStream, cut: CancellationToken) {
        let (mut reader, mut writer) = stream.into_split();
        let (answers, mut outgoing) = mpsc::unbounded_channel::<Vec<Bytes>>();
        let state = self.state.clone();
        let writing = async move {
            while let Some(chunks) = outgoing.recv().await {
                let frame = chunks.concat();
                let gate = state.lock().unwrap().tail_gate.clone();
                let gate = gate.filter(|_| frame.len() > LARGE_BYTES);
                let held = if gate.is_some() { TAIL_BYTES } else { 0 };
                let (front, tail) = frame.split_at(frame.len() - held);
                if writer.write_all(front).await.is_err() {
                    return;
                }
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                if writer.write_all(tail).await.is_err() {
                    return;
                }
            }
        };
        let reading = async move {
            let mut frames = FrameReader::new(64 * 1024 * 1024);
            let mut greeted = false;
            loop {
                if !greeted && frames.buffered_bytes() >= PREFACE.len() {
                    assert!(frames.peek().starts_with(&PREFACE), "the preface comes first");
                    frames.skip(PREFACE.len());
                    greeted = true;
                }
                while greeted && let Some(frame) = frames.next_frame().unwrap() {
                    if self.request(frame, &answers, &cut).is_none() {
                        return;
                    }
                }
                match reader.read_buf(frames.buffer()).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = reading => {}
        }
    }

    /// Answers one request; none cuts the connection.
    fn request(&self, frame: Bytes, answers: &Answers, cut: &CancellationToken) -> Option<()> {
        let (header, body) = decode_request_header(frame).unwrap();
        let api = Api::from_number(header.api).expect("a known request");
        match api {
            Api::Handshake => Self::reply(&header, answers, &self.handshake(body)),
            Api::Metadata => Self::reply(&header, answers, &self.metadata(body)),
            Api::InitProducer => match self.init_producer(body) {
                Ok(answer) => Self::reply(&header, answers, &answer),
                Err(error) => {
                    let failed = ResponseHeader::failed(header.correlation, error);
                    let _ = answers.send(error_frame(&failed));
                }
            },
            Api::Produce => return self.produce(&header, body, answers),
            Api::Fetch => self.fetch(&header, body, answers, cut),
            Api::ListOffsets => Self::reply(&header, answers, &self.list_offsets(body)),
            Api::CreateTopics => Self::reply(&header, answers, &self.create_topics(body)),
            Api::DeleteTopics => Self::reply(&header, answers, &self.delete_topics(body)),
            Api::AlterTopics => Self::reply(&header, answers, &self.alter_topics(body)),
            Api::DescribeTopics => Self::reply(&header, answers, &self.describe_topics(body)),
            Api::DescribeCluster => Self::reply(&header, answers, &self.describe_cluster()),
            Api::DeleteRecords => Self::reply(&header, answers, &self.delete_records(body)),
            Api::LeaderEpoch => Self::reply(&header, answers, &Self::leader_epoch(body)),
            Api::FindCoordinator
            | Api::GroupHeartbeat
            | Api::CommitOffsets
            | Api::FetchOffsets
            | Api::DescribeGroups
            | Api::ListGroups
            | Api::DeleteGroups
            | Api::DeleteOffsets => return self.group(api, &header, body, answers),
            Api::CompactTopics => panic!("nobody asked for compaction"),
            Api::Authenticate => panic!("nobody asked for authentication"),
        }
        Some(())
    }

    pub(super) fn reply<T: Wire>(header: &RequestHeader, answers: &Answers, body: &T) {
        let ok = ResponseHeader::ok(header.correlation);
        let _ = answers.send(response_frame(&ok, Some(body)));
    }

    fn handshake(&self, body: Reader) -> HandshakeResponse {
        let _: HandshakeRequest = decode_body(body).unwrap();
        let state = self.state.lock().unwrap();
        HandshakeResponse {
            cluster: ClusterId::NONE,
            broker: BrokerId::new(self.id),
            broker_epoch: BrokerEpoch::new(1),
            broker_version: "fake".to_owned(),
            apis: Api::ALL.iter().map(|api| -> ApiRange { api.range() }).collect(),
            features: Vec::new(),
            mechanisms: Vec::new(),
            frame_bytes_max: state.frame_bytes_max,
            requests_in_flight_max: state.requests_in_flight_max,
            bytes_in_flight_max: 32 * 1024 * 1024,
            idle_timeout_ms: 600_000,
        }
    }

    fn metadata(&self, body: Reader) -> MetadataResponse {
        let request: MetadataRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        state.metadata_requests += 1;
        let names = request.names.unwrap_or_else(|| state.topics.keys().cloned().collect());
        let brokers = state.brokers.iter().zip(0..).map(|(address, id)| BrokerEndpoint {
            id: BrokerId::new(id),
            epoch: BrokerEpoch::new(1),
            host: address.ip().to_string(),
            port: address.port(),
            rack: None,
        });
        MetadataResponse {
            cluster: ClusterId::NONE,
            controller: BrokerId::new(0),
            brokers: brokers.collect(),
            topics: names.into_iter().map(|name| topic_metadata(&state.topics, name)).collect(),
        }
    }

    fn init_producer(&self, body: Reader) -> Result<InitProducerResponse, ApiError> {
        let request: InitProducerRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        state.init_requests += 1;
        if request.producer.get() > state.next_producer {
            return Err(ApiError::new(ErrorCode::UnknownProducer, "never given out"));
        }
        if request.producer != ProducerId::NONE {
            return Ok(InitProducerResponse {
                producer: request.producer,
                epoch: ProducerEpoch::new(request.epoch.get() + 1),
            });
        }
        state.next_producer += 1;
        Ok(InitProducerResponse {
            producer: ProducerId::new(state.next_producer),
            epoch: ProducerEpoch::new(0),
        })
    }

    fn produce(&self, header: &RequestHeader, body: Reader, answers: &Answers) -> Option<()> {
        let request: ProduceRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let arrived = request.topics.iter().flat_map(|topic| &topic.partitions);
        let arrived = arrived.map(|one| {
            let header = thalweg_protocol::batch::BatchHeader::decode(&one.records).unwrap();
            (one.partition.get(), header.record_count)
        });
        let arrived: Vec<_> = arrived.collect();
        state.produce_requests.push(arrived);
        let mut cut = false;
        let mut late_ms = 0;
        let mut refused = false;
        let count = state.produce_requests.last().map_or(0, Vec::len);
        let mut faults: Vec<_> = (0..count).map(|_| state.faults.next()).collect();
        for fault in &faults {
            match fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::RefusedWhole) => refused = true,
                Some(Fault::Late) => late_ms = late_ms.max(state.faults.delay_ms()),
                Some(Fault::CutAfter) => cut = true,
                _ => {}
            }
        }
        let mut topics = Vec::new();
        for topic in request.topics.iter().filter(|_| !refused) {
            let mut partitions = Vec::new();
            for one in &topic.partitions {
                let fault = faults.remove(0);
                partitions.push(self.append(
                    &mut state,
                    topic.topic,
                    one.partition,
                    &one.records,
                    fault,
                ));
            }
            let topic = topic.topic;
            topics.push(ProducedTopic { topic, partitions });
        }
        if cut {
            return None;
        }
        if request.acks == Acks::None {
            return Some(());
        }
        let frame = if refused {
            let error = ApiError::new(ErrorCode::Overloaded, "planned");
            error_frame(&ResponseHeader::failed(header.correlation, error))
        } else {
            response_frame(
                &ResponseHeader::ok(header.correlation),
                Some(&ProduceResponse { topics }),
            )
        };
        let gate = state.produce_gate.clone();
        if late_ms == 0 && gate.is_none() {
            let _ = answers.send(frame);
        } else {
            let answers = answers.clone();
            self.spawn(async move {
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                tokio::time::sleep(Duration::from_millis(late_ms)).await;
                let _ = answers.send(frame);
            });
        }
        Some(())
    }

    fn append(
        &self,
        state: &mut State,
        topic: TopicId,
        partition: PartitionIndex,
        records: &Bytes,
        fault: Option<Fault>,
    ) -> ProducedPartition {
        let brokers = state.brokers.len();
        let failed = |code: ErrorCode, leader: Option<LeaderHint>| ProducedPartition {
            partition,
            error: Some(ApiError::new(code, "planned")),
            base_offset: Offset::NONE,
            log_append_time: TimestampMs::NONE,
            log_start: Offset::NONE,
            leader,
        };
        let Some(found) = state.topics.values_mut().find(|found| found.id == topic) else {
            return failed(ErrorCode::UnknownTopic, None);
        };
        let Some(log) =
            usize::try_from(partition.get()).ok().and_then(|index| found.partitions.get_mut(index))
        else {
            return failed(ErrorCode::UnknownPartition, None);
        };
        match fault {
            Some(Fault::Moved) => {
                log.leader = (log.leader + 1) % brokers;
                log.epoch += 1;
            }
            Some(Fault::Overloaded) => return failed(ErrorCode::Overloaded, None),
            Some(Fault::UnknownLost) => return failed(ErrorCode::OutcomeUnknown, None),
            Some(Fault::Invalid) => return failed(ErrorCode::InvalidRecord, None),
            Some(Fault::Forgotten) => log.forget_producers(),
            _ => {}
        }
        let leader = i32::try_from(log.leader).unwrap();
        if leader != self.id || fault == Some(Fault::Moved) {
            let hint = LeaderHint {
                leader: BrokerId::new(leader),
                leader_epoch: LeaderEpoch::new(log.epoch),
            };
            return failed(ErrorCode::NotLeader, (log.epoch % 2 == 0).then_some(hint));
        }
        match log.append(records) {
            Err(code) => failed(code, None),
            Ok(_) if fault == Some(Fault::UnknownAppended) => {
                failed(ErrorCode::OutcomeUnknown, None)
            }
            Ok(_) if fault == Some(Fault::NotEnoughAfter) => {
                failed(ErrorCode::NotEnoughReplicasAfterAppend, None)
            }
            Ok(base) => ProducedPartition {
                partition,
                error: None,
                base_offset: Offset::new(base),
                log_append_time: TimestampMs::NONE,
                log_start: Offset::ZERO,
                leader: None,
            },
        }
    }

    fn fetch(
        &self,
        header: &RequestHeader,
        body: Reader,
        answers: &Answers,
        cut: &CancellationToken,
    ) {
        let request: FetchRequest = decode_body(body).unwrap();
        {
            let mut state = self.state.lock().unwrap();
            state.fetch_bytes_max.push(request.bytes_max);
            let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
            state.fetches.push(asked.map(|one| (one.partition.get(), one.offset.get())).collect());
        }
        let (server, answers, header) = (self.clone(), answers.clone(), header.clone());
        let cut = cut.clone();
        self.spawn(async move {
            let wait = Duration::from_millis(u64::from(request.wait_ms_max));
            let deadline = tokio::time::Instant::now() + wait;
            loop {
                let (response, is_ready) = server.read(&request);
                if is_ready || tokio::time::Instant::now() >= deadline {
                    let gate = server.state.lock().unwrap().fetch_gate.clone();
                    if let Some(gate) = gate {
                        gate.acquire().await.unwrap().forget();
                    }
                    return Self::reply(&header, &answers, &response);
                }
                tokio::select! {
                    () = cut.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
        });
    }

    fn read(&self, request: &FetchRequest) -> (FetchResponse, bool) {
        let mut state = self.state.lock().unwrap();
        let mut left = usize::try_from(request.bytes_max).unwrap();
        let mut is_ready = false;
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for one in &topic.partitions {
                let found = state.topics.values_mut().find(|found| found.id == topic.topic);
                let index = usize::try_from(one.partition.get()).unwrap();
                let log = found.and_then(|found| found.partitions.get_mut(index));
                let answer = match log {
                    None => fetch_failed(one.partition, ErrorCode::UnknownTopic, None),
                    Some(log) if i32::try_from(log.leader).unwrap() != self.id => {
                        fetch_failed(one.partition, ErrorCode::NotLeader, None)
                    }
                    Some(log) => {
                        let bytes_max = left.min(usize::try_from(one.bytes_max).unwrap());
                        read_log(log, one.partition, one.offset.get(), bytes_max)
                    }
                };
                left = left.saturating_sub(answer.records.len());
                is_ready |= answer.error.is_some() || !answer.records.is_empty();
                partitions.push(answer);
            }
            topics.push(FetchedTopic { topic: topic.topic, partitions });
        }
        (FetchResponse { topics }, is_ready)
    }

    fn list_offsets(&self, body: Reader) -> ListOffsetsResponse {
        let request: ListOffsetsRequest = decode_body(body).unwrap();
        let state = self.state.lock().unwrap();
        let topics = request.topics.iter().map(|topic| ListedTopic {
            topic: topic.topic,
            partitions: topic
                .partitions
                .iter()
                .map(|one| {
                    let found = state.topics.values().find(|found| found.id == topic.topic);
                    let index = usize::try_from(one.partition.get()).unwrap();
                    let log = found.and_then(|found| found.partitions.get(index));
                    let led = log.filter(|log| i32::try_from(log.leader).unwrap() == self.id);
                    let error =
                        led.is_none().then(|| ApiError::new(ErrorCode::NotLeader, "elsewhere"));
                    let offset = led.map_or(-1, |log| match one.query {
                        OffsetQuery::Earliest => log.log_start,
                        OffsetQuery::Latest | OffsetQuery::MaxTimestamp => log.log_end,
                        OffsetQuery::AtOrAfter(time) => log.offset_at(time.get()),
                    });
                    ListedPartition {
                        partition: one.partition,
                        error,
                        offset: Offset::new(offset),
                        timestamp: TimestampMs::NONE,
                        leader_epoch: LeaderEpoch::UNCHECKED,
                    }
                })
                .collect(),
        });
        ListOffsetsResponse { topics: topics.collect() }
    }

    fn create_topics(&self, body: Reader) -> CreateTopicsResponse {
        let request: CreateTopicsRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let brokers = state.brokers.len();
        let topics = request.topics.into_iter().map(|topic| {
            let exists = state.topics.contains_key(&topic.name);
            let id = TopicId::random();
            let count = usize::try_from(topic.partitions.max(1)).unwrap();
            if !exists && !request.validate_only {
                let partitions = (0..count).map(|index| super::PartitionLog::new(index % brokers));
                let partitions = partitions.collect();
                state.topics.insert(topic.name.clone(), Topic { id, partitions });
            }
            CreatedTopic {
                name: topic.name,
                error: exists.then(|| ApiError::new(ErrorCode::TopicExists, "the topic exists")),
                id,
                partitions: i32::try_from(count).unwrap(),
                replication_factor: 1,
            }
        });
        CreateTopicsResponse { topics: topics.collect() }
    }

    fn delete_topics(&self, body: Reader) -> DeleteTopicsResponse {
        let request: DeleteTopicsRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let topics = request.names.into_iter().map(|name| TopicResult {
            error: state
                .topics
                .remove(&name)
                .is_none()
                .then(|| ApiError::new(ErrorCode::UnknownTopic, "no such topic")),
            name,
        });
        DeleteTopicsResponse { topics: topics.collect() }
    }

    fn alter_topics(&self, body: Reader) -> AlterTopicsResponse {
        let request: AlterTopicsRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let brokers = state.brokers.len();
        let topics = request.topics.into_iter().map(|topic| {
            let found = state.topics.get_mut(&topic.name);
            let error =
                found.is_none().then(|| ApiError::new(ErrorCode::UnknownTopic, "no such topic"));
            if let (Some(found), Some(count)) = (found, topic.partitions) {
                while found.partitions.len() < usize::try_from(count).unwrap() {
                    let leader = found.partitions.len() % brokers;
                    found.partitions.push(super::PartitionLog::new(leader));
                }
            }
            TopicResult { name: topic.name, error }
        });
        AlterTopicsResponse { topics: topics.collect() }
    }

    fn describe_topics(&self, body: Reader) -> DescribeTopicsResponse {
        let request: DescribeTopicsRequest = decode_body(body).unwrap();
        let state = self.state.lock().unwrap();
        let names = request.names.unwrap_or_else(|| state.topics.keys().cloned().collect());
        let topics = names.into_iter().map(|name| {
            let found = state.topics.get(&name);
            let logs = found.map(|found| found.partitions.iter().zip(0..));
            DescribedTopic {
                error: found
                    .is_none()
                    .then(|| ApiError::new(ErrorCode::UnknownTopic, "no such topic")),
                name,
                id: found.map_or(TopicId::NONE, |found| found.id),
                internal: false,
                partitions: logs
                    .into_iter()
                    .flatten()
                    .map(|(log, index)| DescribedPartition {
                        partition: PartitionIndex::new(index),
                        error: None,
                        leader: BrokerId::new(i32::try_from(log.leader).unwrap()),
                        leader_epoch: LeaderEpoch::new(log.epoch),
                        replicas: vec![BrokerId::new(0)],
                        isr: vec![BrokerId::new(0)],
                        log_start: Offset::new(log.log_start),
                        high_watermark: Offset::new(log.log_end),
                        log_end: Offset::new(log.log_end),
                        log_bytes: 0,
                    })
                    .collect(),
                configs: Vec::new(),
            }
        });
        DescribeTopicsResponse { topics: topics.collect() }
    }

    fn describe_cluster(&self) -> DescribeClusterResponse {
        DescribeClusterResponse {
            cluster: ClusterId::NONE,
            controller: BrokerId::new(0),
            brokers: Vec::new(),
            topics: u32::try_from(self.state.lock().unwrap().topics.len()).unwrap(),
            partitions: 0,
            partitions_leaderless: 0,
            partitions_under_replicated: 0,
        }
    }

    fn delete_records(&self, body: Reader) -> DeleteRecordsResponse {
        let request: DeleteRecordsRequest = decode_body(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let topics = request.topics.iter().map(|topic| {
            let found = state.topics.values_mut().find(|found| found.id == topic.topic);
            let found = found.unwrap();
            let partitions = topic.partitions.iter().map(|one| {
                let log = &mut found.partitions[usize::try_from(one.partition.get()).unwrap()];
                log.log_start =
                    if one.before == Offset::NONE { log.log_end } else { one.before.get() };
                DeletedRecordsPartition {
                    partition: one.partition,
                    error: None,
                    log_start: Offset::new(log.log_start),
                }
            });
            let partitions = partitions.collect();
            DeletedRecordsTopic { topic: topic.topic, partitions }
        });
        DeleteRecordsResponse { topics: topics.collect() }
    }

    fn leader_epoch(body: Reader) -> LeaderEpochResponse {
        let request: LeaderEpochRequest = decode_body(body).unwrap();
        let topics = request.topics.iter().map(|topic| TopicEpochEnds {
            topic: topic.topic,
            partitions: topic
                .partitions
                .iter()
                .map(|one| PartitionEpochEnd {
                    partition: one.partition,
                    error: None,
                    found: Some(EpochEnd { epoch: one.wanted, end: Offset::new(7) }),
                })
                .collect(),
        });
        LeaderEpochResponse { topics: topics.collect() }
    }
}

fn topic_metadata(topics: &BTreeMap<String, Topic>, name: String) -> TopicMetadata {
    let Some(topic) = topics.get(&name) else {
        return TopicMetadata {
            error: Some(ApiError::new(ErrorCode::UnknownTopic, "no such topic")),
            name,
            id: TopicId::NONE,
            internal: false,
            partitions: Vec::new(),
        };
    };
    let partitions = topic.partitions.iter().zip(0..);
    TopicMetadata {
        error: None,
        name,
        id: topic.id,
        internal: false,
        partitions: partitions
            .map(|(log, index)| PartitionMetadata {
                partition: PartitionIndex::new(index),
                leader: BrokerId::new(i32::try_from(log.leader).unwrap()),
                leader_epoch: LeaderEpoch::new(log.epoch),
                replicas: vec![BrokerId::new(0)],
                isr: vec![BrokerId::new(0)],
                offline: Vec::new(),
            })
            .collect(),
    }
}

fn fetch_failed(
    partition: PartitionIndex,
    code: ErrorCode,
    log: Option<(&super::PartitionLog, Offset)>,
) -> FetchedPartition {
    FetchedPartition {
        partition,
        error: Some(ApiError::new(code, "planned")),
        high_watermark: log.map_or(Offset::NONE, |(log, _)| Offset::new(log.log_end)),
        log_start: log.map_or(Offset::NONE, |(log, _)| Offset::new(log.log_start)),
        next_good: log.map_or(Offset::NONE, |(_, good)| good),
        diverging: None,
        leader: None,
        records: Bytes::new(),
    }
}

fn read_log(
    log: &super::PartitionLog,
    partition: PartitionIndex,
    offset: i64,
    bytes_max: usize,
) -> FetchedPartition {
    if offset < log.log_start || offset > log.log_end {
        return fetch_failed(partition, ErrorCode::OffsetOutOfRange, Some((log, Offset::NONE)));
    }
    if let Some((from, good)) = log.damaged.filter(|(from, good)| (*from..*good).contains(&offset))
    {
        assert!(from < good, "a range");
        return fetch_failed(partition, ErrorCode::Corrupt, Some((log, Offset::new(good))));
    }
    if let Some((epoch, end)) = log.diverging.filter(|(_, end)| offset > *end) {
        let mut failed =
            fetch_failed(partition, ErrorCode::LogTruncated, Some((log, Offset::NONE)));
        failed.diverging = Some(EpochEnd { epoch: LeaderEpoch::new(epoch), end: Offset::new(end) });
        return failed;
    }
    FetchedPartition {
        partition,
        error: None,
        high_watermark: Offset::new(log.log_end),
        log_start: Offset::new(log.log_start),
        next_good: Offset::NONE,
        diverging: None,
        leader: None,
        records: log.read(offset, bytes_max),
    }
}
