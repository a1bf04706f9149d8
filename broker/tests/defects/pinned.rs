//! A reader that does not read keeps deleted segments on the disk: counted, and ended when their space is needed.

use std::path::PathBuf;

use thalweg_broker::base::{ByteSize, Millis};
use thalweg_client::Offset;
use thalweg_protocol::codec::Chunks;
use thalweg_protocol::frame::request_frame;
use thalweg_protocol::native::{
    FetchPartition, FetchRequest, FetchTopic, HandshakeRequest, PREFACE, Purpose, Request,
    RequestHeader, Tags,
};
use thalweg_protocol::{LeaderEpoch, PartitionIndex, TopicId};
use thalweg_storage::fs::FileSystem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::machine::{Machine, TOPIC};

const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// More than the sockets of both sides hold.
const REQUESTS: u32 = 6;

const PINNED: &str = "thalweg_pinned_deleted_bytes{directory=\"/data\"}";
const CLOSED: &str = "thalweg_connections_closed_total{reason=\"pins_deleted\"}";

fn request<R: Request>(correlation: u32, body: &R) -> Chunks {
    let header = RequestHeader {
        api: R::API.number(),
        version: 0,
        correlation,
        timeout_ms: 0,
        tags: Tags::default(),
    };
    request_frame(&header, body)
}

fn fetch(correlation: u32, topic: TopicId) -> Chunks {
    let partition = FetchPartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        last_epoch: LeaderEpoch::UNCHECKED,
        offset: Offset::ZERO,
        bytes_max: u32::try_from(SEGMENT_BYTES).unwrap(),
    };
    let bytes_max = partition.bytes_max;
    let topics = vec![FetchTopic { topic, partitions: vec![partition] }];
    request(correlation, &FetchRequest { wait_ms_max: 0, bytes_min: 1, bytes_max, topics })
}

impl Machine {
    /// Asks for the first segment several times and reads nothing.
    fn ask_and_not_read(&self, topic: TopicId) -> TcpStream {
        let address = self.broker().addresses()[0];
        self.run(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&PREFACE).await.unwrap();
            let handshake = HandshakeRequest {
                client_name: "sleeper".to_owned(),
                client_version: "0".to_owned(),
                purpose: Purpose::Data,
                features: Vec::new(),
            };
            let fetches = (2..2 + REQUESTS).map(|number| fetch(number, topic));
            for chunk in std::iter::once(request(1, &handshake)).chain(fetches).flatten() {
                stream.write_all(&chunk).await.unwrap();
            }
            stream
        })
    }

    fn log_file(&self, base_offset: i64) -> PathBuf {
        self.folder(0).join(format!("{base_offset:020}.log"))
    }
}

#[test]
fn a_reader_that_pins_deleted_segments_is_closed_when_their_space_is_needed() {
    let mut machine = Machine::start_with(|config| {
        // Nothing else closes it meanwhile.
        config.limits.slow_reader_ms_max = Millis::hours(1);
        config.limits.bytes_in_flight_max = ByteSize::mib(64);
    });
    let segment_bytes = SEGMENT_BYTES.to_string();
    machine.create_topic(1, &[("segment.bytes", &segment_bytes)]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut records = 0;
    while machine.disk.list(&machine.folder(0)).unwrap().iter().filter(|it| is_log(it)).count() < 2
    {
        let value: String =
            std::iter::repeat_with(|| random.alphanumeric()).take(500_000).collect();
        machine.publish(0, &value);
        records += 1;
    }
    let topic = machine.run(machine.client().admin().describe_topic(TOPIC)).unwrap().id;
    let mut sleeper = machine.ask_and_not_read(topic);
    let begun = "thalweg_requests_total{door=\"native\",request=\"fetch\"}";
    Machine::until("the requests are not carried out", || {
        machine.metric(begun).unwrap_or_default() >= f64::from(REQUESTS)
    });
    let first = machine.log_file(0);
    let end = Offset::new(records);
    machine.run(machine.client().admin().delete_records(TOPIC, 0, end)).unwrap();
    assert!(!machine.disk.exists(&first), "vacuous: the segment was not deleted");
    let pinned = machine.metric(PINNED).unwrap();
    assert!(pinned > 7.0e6, "{pinned} bytes are pinned");
    let used = machine.disk.used_bytes();

    // With room enough nobody minds:.
    machine.publish(0, "there is room");
    assert_eq!(machine.metric(CLOSED), None);

    machine.disk.set_capacity(Some(used));
    Machine::until("the connection stays", || machine.metric(CLOSED) == Some(1.0));
    Machine::until("the space stays taken", || machine.metric(PINNED) == Some(0.0));
    // Its client finds the end behind what the sockets held.
    machine.run(async {
        let mut sink = vec![0; 1 << 20];
        while sleeper.read(&mut sink).await.is_ok_and(|read| read > 0) {}
    });
    machine.publish(0, "room again");
}

fn is_log(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ending == "log")
}
