//! Bytes that are not what they should be, on a raw socket: a typed error or a closed connection, and the broker
//! serves on.

use bytes::{Bytes, BytesMut};
use thalweg_protocol::codec::Chunks;
use thalweg_protocol::frame::{decode_body, decode_response_header, request_frame};
use thalweg_protocol::native::{
    Acks, Api, ApiError, FetchPartition, FetchRequest, FetchTopic, HandshakeRequest,
    HandshakeResponse, InitProducerRequest, InitProducerResponse, PREFACE, ProducePartition,
    ProduceRequest, ProduceResponse, ProduceTopic, Purpose, Request, RequestHeader, ResponseHeader,
    Tags,
};
use thalweg_protocol::{
    ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Fixture, create, numbered, publish, within};

/// A connection that is spoken by hand.
pub struct Raw {
    pub stream: TcpStream,
    buffer: BytesMut,
}

impl Raw {
    pub async fn connect(fixture: &Fixture) -> Self {
        let stream = TcpStream::connect(fixture.address()).await.unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn open(fixture: &Fixture) -> Self {
        let mut raw = Self::connect(fixture).await;
        raw.stream.write_all(&PREFACE).await.unwrap();
        raw.send(&request(1, &handshake())).await;
        let (header, _) = raw.answer::<HandshakeResponse>().await.unwrap();
        assert_eq!(header.error, None);
        raw
    }

    pub async fn send(&mut self, chunks: &Chunks) {
        self.try_send(chunks).await.unwrap();
    }

    /// Fails when the broker has closed the connection already.
    pub async fn try_send(&mut self, chunks: &Chunks) -> std::io::Result<()> {
        for chunk in chunks {
            self.stream.write_all(chunk).await?;
        }
        Ok(())
    }

    /// The next answer; none when the broker closed the connection.
    pub async fn answer<T: thalweg_protocol::native::Wire>(
        &mut self,
    ) -> Option<(ResponseHeader, Option<T>)> {
        let frame = within(self.frame()).await?;
        let (header, body) = decode_response_header(frame).unwrap();
        let body = header.error.is_none().then(|| decode_body(body).unwrap());
        Some((header, body))
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
                if self.buffer.len() >= 4 + length {
                    let frame = self.buffer.split_to(4 + length).freeze();
                    return Some(frame.slice(4..));
                }
            }
            // A reset is a close as well.
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Waits until the broker closes.
    pub async fn closed(&mut self) {
        assert!(within(self.frame()).await.is_none(), "an answer came instead of the end");
    }
}

pub fn handshake() -> HandshakeRequest {
    HandshakeRequest {
        client_name: "raw".to_owned(),
        client_version: "0".to_owned(),
        purpose: Purpose::Data,
        features: Vec::new(),
    }
}

pub fn request<R: Request>(correlation: u32, body: &R) -> Chunks {
    request_frame(&header(R::API.number(), 0, correlation), body)
}

fn header(api: u16, version: u16, correlation: u32) -> RequestHeader {
    RequestHeader { api, version, correlation, timeout_ms: 30_000, tags: Tags::default() }
}

/// A fetch that waits for longer than any test.
pub fn long_poll(correlation: u32, topic: TopicId) -> Chunks {
    let partition = FetchPartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        last_epoch: LeaderEpoch::UNCHECKED,
        offset: Offset::ZERO,
        bytes_max: 1 << 20,
    };
    let fetch = FetchRequest {
        wait_ms_max: 100_000,
        bytes_min: 1,
        bytes_max: 1 << 20,
        topics: vec![FetchTopic { topic, partitions: vec![partition] }],
    };
    // No deadline of the client's: the broker's own is longer than the wait.
    let header = RequestHeader { timeout_ms: 0, ..header(Api::Fetch.number(), 0, correlation) };
    request_frame(&header, &fetch)
}

pub fn produce(topic: TopicId, acks: Acks, records: Bytes) -> ProduceRequest {
    let partition = ProducePartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        records,
    };
    ProduceRequest { acks, topics: vec![ProduceTopic { topic, partitions: vec![partition] }] }
}

fn init_producer(correlation: u32, producer: i64, epoch: i16) -> Chunks {
    let body = InitProducerRequest {
        transactional_id: None,
        producer: ProducerId::new(producer),
        epoch: ProducerEpoch::new(epoch),
    };
    request(correlation, &body)
}

async fn still_serves(fixture: &Fixture) {
    let topics = within(fixture.client().admin().list_topics()).await;
    topics.unwrap();
}

#[tokio::test]
async fn garbage_is_closed_and_others_are_served() {
    let fixture = Fixture::start();
    let openings: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"THLW\x00\x09",
        b"THLW\x00\x01\xff\xff\xff\xff",
        b"\x00\x00\x00\x20\x00\x12\x00\x03kafka",
        &[0; 64],
    ];
    for opening in openings {
        let mut raw = Raw::connect(&fixture).await;
        raw.stream.write_all(opening).await.unwrap();
        raw.closed().await;
    }
    still_serves(&fixture).await;
}

#[tokio::test]
async fn the_handshake_must_come_first() {
    let fixture = Fixture::start();
    let mut raw = Raw::connect(&fixture).await;
    raw.stream.write_all(&PREFACE).await.unwrap();
    raw.send(&request(9, &thalweg_protocol::native::DescribeClusterRequest {})).await;
    let (header, _) = raw.answer::<HandshakeResponse>().await.unwrap();
    assert_eq!(header.correlation, 9);
    assert_eq!(header.error.unwrap().code, ErrorCode::HandshakeRequired);
    raw.closed().await;
}

#[tokio::test]
async fn unknown_requests_and_versions_get_typed_errors_and_the_connection_goes_on() {
    let fixture = Fixture::start();
    let mut raw = Raw::open(&fixture).await;
    let body = handshake();
    let cases = [
        (header(999, 0, 2), ErrorCode::UnsupportedVersion),
        (header(Api::Produce.number(), 77, 3), ErrorCode::UnsupportedVersion),
        (header(Api::Fetch.number(), 0, 4), ErrorCode::MalformedRequest),
        (header(Api::Handshake.number(), 0, 5), ErrorCode::InvalidRequest),
    ];
    for (header, expected) in cases {
        raw.send(&request_frame(&header, &body)).await;
        let (answer, _) = raw.answer::<HandshakeResponse>().await.unwrap();
        assert_eq!(answer.correlation, header.correlation);
        assert_eq!(answer.error.unwrap().code, expected);
    }
    still_serves(&fixture).await;
}

#[tokio::test]
async fn a_frame_above_the_limit_is_refused_by_its_length_alone() {
    let fixture = Fixture::start_with(|config| {
        config.limits.frame_bytes_max = thalweg_broker::base::ByteSize::kib(64);
    });
    let mut raw = Raw::open(&fixture).await;
    raw.stream.write_all(&(64_u32 * 1024 + 1).to_be_bytes()).await.unwrap();
    raw.closed().await;
    still_serves(&fixture).await;
}

#[tokio::test]
async fn damaged_batches_are_refused_each_with_its_reason_and_nothing_is_written() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "checked", 1, &[]).await;
    let topic = client.admin().describe_topic("checked").await.unwrap().id;
    let good = good_batch();
    let mut raw = Raw::open(&fixture).await;
    let flip = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0xff;
        Bytes::from(bytes)
    };
    let cases = [
        (flip(17), ErrorCode::CorruptBatch),
        (flip(good.len() - 1), ErrorCode::CorruptBatch),
        (flip(11), ErrorCode::CorruptBatch),
        (flip(16), ErrorCode::CorruptBatch),
        (good.slice(..good.len() - 1), ErrorCode::CorruptBatch),
        (good.slice(..30), ErrorCode::CorruptBatch),
        (Bytes::new(), ErrorCode::CorruptBatch),
    ];
    for (correlation, (records, expected)) in (10..).zip(cases) {
        raw.send(&request(correlation, &produce(topic, Acks::All, records))).await;
        let (_, answer) = raw.answer::<ProduceResponse>().await.unwrap();
        let partition = answer.unwrap().topics.remove(0).partitions.remove(0);
        let error: ApiError = partition.error.unwrap();
        assert_eq!(error.code, expected, "{error}");
        assert!(error.message.contains("checked-0"), "{error}");
    }
    let described = client.admin().describe_topic("checked").await.unwrap();
    assert_eq!(described.partitions[0].log_end.get(), 0);
    raw.send(&request(99, &produce(topic, Acks::All, good))).await;
    let (_, answer) = raw.answer::<ProduceResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions[0].error, None);
}

pub fn good_batch() -> Bytes {
    let mut builder = thalweg_protocol::batch::BatchBuilder::new(
        thalweg_protocol::batch::Compression::None,
        10_000,
    );
    let now = thalweg_protocol::TimestampMs::new(1_000);
    builder.try_append(now, Some(b"k"), Some(b"v"), &[]).unwrap();
    builder.try_append(now, None, Some(b"w"), &[]).unwrap();
    builder.build(ProducerId::NONE, ProducerEpoch::NONE, thalweg_protocol::Sequence::NONE)
}

#[tokio::test]
async fn a_request_without_an_answer_that_fails_closes_the_connection() {
    let fixture = Fixture::start();
    let mut raw = Raw::open(&fixture).await;
    raw.send(&request(5, &produce(TopicId::random(), Acks::None, good_batch()))).await;
    raw.closed().await;
}

#[tokio::test]
async fn answers_may_overtake_a_long_poll() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "polled", 1, &[]).await;
    let topic = client.admin().describe_topic("polled").await.unwrap().id;
    let mut raw = Raw::open(&fixture).await;
    raw.send(&long_poll(1, topic)).await;
    raw.send(&request(2, &produce(topic, Acks::All, good_batch()))).await;
    let mut correlations = Vec::new();
    for _ in 0..2 {
        let frame = within(raw.frame()).await.unwrap();
        correlations.push(decode_response_header(frame).unwrap().0.correlation);
    }
    correlations.sort_unstable();
    assert_eq!(correlations, [1, 2], "the append on the same connection ended the long poll");
}

#[tokio::test]
async fn weaker_acknowledgements_with_idempotence_are_refused() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "strict", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "strict", 0, &numbered("v", 1)).await;
    let topic = client.admin().describe_topic("strict").await.unwrap().id;
    let mut builder = thalweg_protocol::batch::BatchBuilder::new(
        thalweg_protocol::batch::Compression::None,
        1_000,
    );
    builder.try_append(thalweg_protocol::TimestampMs::new(1), None, Some(b"v"), &[]).unwrap();
    let batch = builder.build(
        ProducerId::new(77),
        ProducerEpoch::new(0),
        thalweg_protocol::Sequence::FIRST,
    );
    let mut raw = Raw::open(&fixture).await;
    raw.send(&request(3, &produce(topic, Acks::Leader, batch))).await;
    let (_, answer) = raw.answer::<ProduceResponse>().await.unwrap();
    let error = answer.unwrap().topics[0].partitions[0].error.clone().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("acks=all"), "{error}");
}

/// Once any id got its successor, so that a producer could take over an id before it was given out.
#[tokio::test]
async fn only_an_id_that_was_given_out_gets_its_next_epoch() {
    let fixture = Fixture::start();
    let mut raw = Raw::open(&fixture).await;
    raw.send(&init_producer(2, -1, -1)).await;
    let (_, given) = raw.answer::<InitProducerResponse>().await.unwrap();
    let id = given.unwrap().producer.get();
    let refused = [
        (id + 1, 0, ErrorCode::UnknownProducer, "never given out"),
        (i64::MAX, 0, ErrorCode::UnknownProducer, "never given out"),
        (id, -1, ErrorCode::InvalidRequest, "give both"),
        (-1, 0, ErrorCode::InvalidRequest, "give both"),
        (i64::MIN, i16::MIN, ErrorCode::InvalidRequest, "give both"),
    ];
    for (producer, epoch, code, message) in refused {
        raw.send(&init_producer(3, producer, epoch)).await;
        let (header, _) = raw.answer::<InitProducerResponse>().await.unwrap();
        let error = header.error.unwrap();
        assert_eq!(error.code, code, "{producer} {epoch}: {error}");
        assert!(error.message.contains(message), "{error}");
    }
    // The next epoch; after the last one, a new id.
    for (epoch, next) in [(0, (id, 1)), (i16::MAX - 1, (id, i16::MAX)), (i16::MAX, (id + 1, 0))] {
        raw.send(&init_producer(4, id, epoch)).await;
        let (_, answer) = raw.answer::<InitProducerResponse>().await.unwrap();
        let answer = answer.unwrap();
        assert_eq!((answer.producer.get(), answer.epoch.get()), next);
    }
}
