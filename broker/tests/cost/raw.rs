//! A connection that is spoken by hand, and waits for each answer. Requests are made once and sent again and again; answers
//! are read into a buffer that is there already, and looked at in place.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchBuilder, Compression, NO_HEADERS};
use thalweg_protocol::frame::{decode_body, decode_response_header, request_frame};
use thalweg_protocol::native::{
    Acks, FetchPartition, FetchRequest, FetchTopic, HandshakeRequest, PREFACE, ProducePartition,
    ProduceRequest, ProduceResponse, ProduceTopic, Purpose, Request, RequestHeader, Tags,
};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

use crate::support::{Fixture, PATIENCE};

/// No answer is larger.
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub struct Raw {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// The bytes of one frame.
pub type Frame = Vec<u8>;

fn frame<R: Request>(body: &R) -> Frame {
    let header = RequestHeader {
        api: R::API.number(),
        version: 0,
        correlation: 7,
        timeout_ms: 0,
        tags: Tags::default(),
    };
    request_frame(&header, body).concat()
}

impl Raw {
    pub fn open(fixture: &Fixture) -> Self {
        let mut stream = TcpStream::connect(fixture.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&PREFACE).unwrap();
        let mut raw = Self { stream, answer: vec![0; ANSWER_BYTES_MAX] };
        let handshake = HandshakeRequest {
            client_name: "raw".to_owned(),
            client_version: "0".to_owned(),
            purpose: Purpose::Data,
            features: Vec::new(),
        };
        raw.ask(&frame(&handshake));
        raw
    }

    /// A produce request with one batch of so many records.
    pub fn produce(topic: TopicId, records: usize, acks_all: bool) -> Frame {
        let mut builder = BatchBuilder::new(Compression::None, 1 << 20);
        for _ in 0..records {
            builder
                .try_append(TimestampMs::new(1_000), Some(b"key"), Some(&[7; 100]), NO_HEADERS)
                .unwrap();
        }
        let partition = ProducePartition {
            partition: PartitionIndex::new(0),
            leader_epoch: LeaderEpoch::UNCHECKED,
            records: builder.build_unsequenced(),
        };
        let topics = vec![ProduceTopic { topic, partitions: vec![partition] }];
        frame(&ProduceRequest { acks: if acks_all { Acks::All } else { Acks::Leader }, topics })
    }

    /// A fetch of all that there is from this offset on.
    pub fn fetch(topic: TopicId, offset: i64) -> Frame {
        let partition = FetchPartition {
            partition: PartitionIndex::new(0),
            leader_epoch: LeaderEpoch::UNCHECKED,
            last_epoch: LeaderEpoch::UNCHECKED,
            offset: Offset::new(offset),
            bytes_max: 2 << 20,
        };
        frame(&FetchRequest {
            wait_ms_max: 10_000,
            bytes_min: 1,
            bytes_max: 2 << 20,
            topics: vec![FetchTopic { topic, partitions: vec![partition] }],
        })
    }

    /// Sends a produce request; answers the offset of its first record.
    pub fn produced(&mut self, request: &[u8]) -> i64 {
        let (_, body) = decode_response_header(Bytes::copy_from_slice(self.ask(request))).unwrap();
        let produced = &decode_body::<ProduceResponse>(body).unwrap().topics[0].partitions[0];
        assert_eq!(produced.error, None);
        produced.base_offset.get()
    }

    /// Sends a fetch; so many records come, to judge by their bytes.
    pub fn fetched(&mut self, request: &[u8], records: usize) {
        let bytes = self.ask(request).len();
        assert!(bytes > records * 100, "{bytes} bytes for {records} records");
    }

    fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
        self.stream.read_exact(&mut self.answer[..length]).unwrap();
        &self.answer[..length]
    }
}
