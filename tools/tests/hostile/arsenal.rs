//! Makes hostile bytes of each kind from golden messages and real batches.

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::batch::{BatchBuilder, Compression, HEADER_BYTES, checksum};
use thalweg_protocol::native::{
    Acks, Api, DescribeClusterRequest, HandshakeRequest, PREFACE, ProducePartition, ProduceRequest,
    ProduceTopic, Purpose,
};
use thalweg_protocol::{
    LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicId,
};

use crate::golden;
use crate::kinds::Kind;
use crate::mutate::mutate;
use crate::raw::{greeting, request};

/// Request, version, correlation, timeout, number of tags.
const HEADER: usize = 2 + 2 + 4 + 4;

/// Answers with this correlation say that everything before was taken.
pub const SENTINEL: u32 = u32::MAX;

/// What the bombs inflate to where the format lets a batch of the allowed size do it.
const BOMB_BYTES: usize = 60 * 1024 * 1024;

/// Everything that attacks are made of.
#[derive(Clone, Debug)]
pub struct Arsenal {
    /// Golden requests without their length.
    requests: Vec<Vec<u8>>,
    /// Good batches of every codec.
    batches: Vec<Vec<u8>>,
    /// Whole frames that carry bombs.
    bombs: Vec<Vec<u8>>,
    /// A topic that is really there.
    topic: TopicId,
}

impl Arsenal {
    pub fn new(topic: TopicId) -> Self {
        let requests = golden::vectors("_request.hex");
        let requests = requests.into_iter().map(|frame| aimed(frame[4..].to_vec())).collect();
        let batches = CODECS.map(|codec| batch(codec, 20, 100)).to_vec();
        let bombs = bombs().into_iter().map(|bomb| produce(topic, bomb)).collect();
        Self { requests, batches, bombs, topic }
    }

    /// Hostile bytes of this kind; those after the handshake are one frame with its length.
    pub fn make(&self, kind: Kind, rng: &mut Rng) -> Vec<u8> {
        match kind {
            Kind::Garbage => garbage(rng, 1..2000),
            Kind::ForeignProtocol => rng.choice(FOREIGN).unwrap().to_vec(),
            Kind::GiantHandshake => {
                [&PREFACE[..], &rng.u32(4 * 1024 + 1..).to_be_bytes(), &[0; 100]].concat()
            }
            Kind::HalfHandshake => {
                let mut bytes = greeting();
                bytes.truncate(rng.usize(1..bytes.len()));
                bytes
            }
            Kind::NoHandshake => [&PREFACE[..], &sentinel()].concat(),
            Kind::UnknownRequest => {
                let known = |number| Api::from_number(number).is_some();
                let unknown = std::iter::repeat_with(|| rng.u16(..)).find(|it| !known(*it));
                self.relabelled(rng, 0, unknown.unwrap())
            }
            Kind::UnknownVersion => {
                let version = rng.u16(1..);
                self.relabelled(rng, 2, version)
            }
            Kind::ForeignBody => {
                let other = Api::ALL[rng.usize(1..Api::ALL.len())].number();
                self.relabelled(rng, 0, other)
            }
            Kind::CountBeyondFrame => self.count_beyond(rng),
            Kind::WrongBody => {
                let mut frame = self.request(rng);
                let mut body = frame.split_off(HEADER.min(frame.len()));
                mutate(rng, &mut body, &self.requests);
                framed(&[frame, body].concat())
            }
            Kind::MutatedFrame => {
                let mut frame = self.request(rng);
                mutate(rng, &mut frame, &self.requests);
                framed(&frame)
            }
            Kind::SecondHandshake => request(7, &handshake()),
            Kind::MutatedBatch => produce(self.topic, self.mutated_batch(rng)),
            Kind::Bomb => rng.choice(&self.bombs).unwrap().clone(),
            Kind::GiantFrame => {
                [&rng.u32(100 * 1024 * 1024 + 1..).to_be_bytes()[..], &[0; 100]].concat()
            }
            Kind::HalfFrame => {
                let mut bytes = framed(&self.request(rng));
                bytes.truncate(rng.usize(1..bytes.len()));
                bytes
            }
            Kind::EmptyFrame => vec![0; 4],
            Kind::GarbageFrame => framed(&garbage(rng, 0..11)),
        }
    }

    fn request(&self, rng: &mut Rng) -> Vec<u8> {
        rng.choice(&self.requests).unwrap().clone()
    }

    /// A golden request with another number at `at` of its header.
    fn relabelled(&self, rng: &mut Rng, at: usize, number: u16) -> Vec<u8> {
        let mut frame = self.request(rng);
        frame[at..at + 2].copy_from_slice(&number.to_be_bytes());
        framed(&frame)
    }

    /// Four bytes of a golden body become a count that its frame cannot hold.
    fn count_beyond(&self, rng: &mut Rng) -> Vec<u8> {
        let mut frame = self.request(rng);
        if frame.len() >= HEADER + 4 {
            let at = rng.usize(HEADER..=frame.len() - 4);
            let count = rng.choice([u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 24, 1 << 16]).unwrap();
            frame[at..at + 4].copy_from_slice(&count.to_be_bytes());
        }
        framed(&frame)
    }

    fn mutated_batch(&self, rng: &mut Rng) -> Vec<u8> {
        let mut batch = rng.choice(&self.batches).unwrap().clone();
        mutate(rng, &mut batch, &self.batches);
        if rng.u8(0..4) > 0 && batch.len() >= HEADER_BYTES {
            let length = u32::try_from(batch.len() - 12).unwrap();
            batch[8..12].copy_from_slice(&length.to_be_bytes());
            let crc = checksum(&batch);
            batch[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        batch
    }
}

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// First bytes that belong to others.
const FOREIGN: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    b"POST /topics/a HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"THLW\x00\x09",
    b"\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05kafka",
    b"\x10\x26\x00\x04MQTT\x04\x02\x00\x3c",
    b"AMQP\x00\x00\x09\x01",
    b"SSH-2.0-OpenSSH_9.9\r\n",
];

/// A golden request waits a moment at most, not the time that its vector says.
fn aimed(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(timeout) = frame.get_mut(8..HEADER) {
        timeout.copy_from_slice(&50_u32.to_be_bytes());
    }
    frame
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    [&length.to_be_bytes()[..], frame].concat()
}

fn garbage(rng: &mut Rng, length: std::ops::Range<usize>) -> Vec<u8> {
    (0..rng.usize(length)).map(|_| rng.u8(..)).collect()
}

fn handshake() -> HandshakeRequest {
    HandshakeRequest {
        client_name: "again".to_owned(),
        client_version: "0".to_owned(),
        purpose: Purpose::Control,
        features: Vec::new(),
    }
}

/// A request that is answered at once.
pub fn sentinel() -> Vec<u8> {
    request(SENTINEL, &DescribeClusterRequest {})
}

fn batch(codec: Compression, records: i64, bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, 128 * 1024 * 1024);
    let value = vec![0; bytes];
    for number in 0..records {
        let time = TimestampMs::new(1_700_000_000_000 + number);
        builder.try_append(time, Some(b"key"), Some(&value), &[]).unwrap();
    }
    let (id, epoch, sequence) = (ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE);
    builder.build(id, epoch, sequence).to_vec()
}

/// Batches within the allowed size that hold far more than they look, as far as their codec can, and one that
/// claims a GiB.
fn bombs() -> Vec<Vec<u8>> {
    let sizes = [BOMB_BYTES, 16 * 1024 * 1024, BOMB_BYTES, BOMB_BYTES];
    let mut bombs: Vec<_> =
        CODECS[1..].iter().zip(sizes).map(|(codec, bytes)| batch(*codec, 1, bytes)).collect();
    for bomb in &bombs {
        assert!(bomb.len() < 1024 * 1024, "a bomb of {} bytes is too large to be sent", bomb.len());
    }
    let mut endless = batch(Compression::Zstd, 1, 100);
    endless.truncate(HEADER_BYTES);
    endless.extend(zstd_gib());
    let length = u32::try_from(endless.len() - 12).unwrap();
    endless[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = checksum(&endless);
    endless[17..21].copy_from_slice(&crc.to_be_bytes());
    bombs.push(endless);
    bombs
}

/// A zstd frame of 8,192 blocks, each 128 KiB of one repeated byte: 32 KiB that inflate to 1 GiB.
fn zstd_gib() -> Vec<u8> {
    const BLOCKS: u32 = 8192;
    // Magic; a descriptor without content size; a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    for block in 0..BLOCKS {
        let head = (128 * 1024) << 3 | 1 << 1 | u32::from(block + 1 == BLOCKS);
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

fn produce(topic: TopicId, records: Vec<u8>) -> Vec<u8> {
    let partition = ProducePartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        records: Bytes::from(records),
    };
    let topics = vec![ProduceTopic { topic, partitions: vec![partition] }];
    request(5, &ProduceRequest { acks: Acks::Leader, topics })
}
