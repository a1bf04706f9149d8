//! Every setting of a broker, each in one place: its sentence, its default, and what it can be.
//!
//! The sample file `config/broker.toml` is made from these tables, and a test keeps it so.

use std::path::PathBuf;

use thalweg_protocol::{BrokerId, ClusterId};

use super::groups::GroupsConfig;
use super::listener::{Address, Listener, Voter};
use super::setting::{Allowed, Raw, Value, settings};
use super::topic_entries::TopicOverrides;
use crate::base::{ByteSize, Millis};

settings! {
    /// Everything an operator sets for one broker.
    pub struct BrokerConfig in "" {
        /// This broker's number in its cluster. Two brokers of a cluster never share one, and a data
        /// folder belongs to the broker that first used it.
        node_id: BrokerId = BrokerId::new(1), Allowed::Form("a whole number from 0 to 2147483647");
        /// The cluster that this broker belongs to. Not set: agreed at the first start, then kept in the
        /// data folders. Set it to refuse to start with another cluster's data.
        cluster_id: Option<ClusterId> = None,
            Allowed::Form("a UUID such as 6f3f2e0c-7c2a-4a57-9d0b-0c7a2c1f5b11");
        /// The folders for the data, one per disk. New partitions go where the fewest are.
        data_dirs: Vec<PathBuf> = vec![PathBuf::from("./thalweg-data")],
            Allowed::Form("a list of one or more different folders");
        /// Where clients and other brokers connect. Each is [PROTOCOL://]HOST:PORT[?advertised=HOST:PORT],
        /// or a table with address, advertised and protocol. The protocol is "auto" (native and Kafka's, told
        /// apart by the first bytes), "native" or "kafka"; "advertised" is what clients are told to connect
        /// to. Port 0 takes a free one.
        listeners: Vec<Listener> = vec![Listener::at(Address::new("127.0.0.1", 9092))],
            Allowed::Form(
                "a list of one or more listeners such as \"127.0.0.1:9092\" or \
                 \"kafka://0.0.0.0:9093?advertised=broker-1.example:9093\"",
            );
        /// Where /healthz, /readyz and /metrics are served, over plain HTTP and without a password: keep it
        /// on a private address. Port 0 takes a free one; "off" serves nothing.
        http_address: Option<Address> = Some(Address::new("127.0.0.1", 9644)),
            Allowed::Form("HOST:PORT such as \"127.0.0.1:9644\", or \"off\"");
        /// The rack, zone or room that this broker stands in; replicas are spread over racks.
        rack: Option<String> = None, Allowed::Form("a text of at most 249 characters");
        /// The brokers that vote on the cluster's metadata, each ID@HOST:PORT. Empty: this broker alone.
        voters: Vec<Voter> = Vec::new(),
            Allowed::Form("a list of voters such as \"1@broker-1.example:9092\"");
        /// Partitions of a new topic when its creator does not say.
        default_partitions: u32 = 1, Allowed::Count(1, 10_000);
        /// Replicas of a new topic when its creator does not say.
        default_replication_factor: u32 = 1, Allowed::Count(1, 100);
        /// How long a stopping broker waits for the requests under way.
        drain_ms_max: Millis = Millis::seconds(10), Allowed::Time(Millis::new(0), Millis::hours(1));
    }
    with {
        /// Guards against clients that ask for too much.
        limits: Limits,
        /// Disks, files and the threads that look after them.
        storage: StorageConfig,
        /// Consumer groups and their committed offsets.
        groups: GroupsConfig,
        /// What is logged, and how.
        log: LogConfig,
        /// What is counted.
        metrics: MetricsConfig,
        /// Topic settings that hold where a topic has none of its own.
        topic_defaults: TopicOverrides,
    }
}

settings! {
    /// Guards against clients that ask for too much.
    pub struct Limits in "limits" {
        /// The largest request. A longer one is refused before anything is allocated for it.
        frame_bytes_max: ByteSize = ByteSize::mib(100),
            Allowed::Size(ByteSize::kib(64), ByteSize::gib(1));
        /// The largest answer to one fetch, whatever the client asks for; a first batch that is larger is
        /// still sent whole.
        fetch_bytes_max: ByteSize = ByteSize::mib(55),
            Allowed::Size(ByteSize::kib(64), ByteSize::gib(1));
        /// Connections at once, all listeners together. One more is closed at once and counted.
        connections_max: u32 = 10_000, Allowed::Count(1, 1_000_000);
        /// Connections at once from one address.
        connections_per_address_max: u32 = 1_000, Allowed::Count(1, 1_000_000);
        /// Connections at once that have not finished their handshake; each may take 16 KiB of memory. One more closes
        /// the one that has waited longest.
        handshakes_max: u32 = 1_000, Allowed::Count(1, 1_000_000);
        /// A connection that has not finished its handshake by then is closed.
        handshake_ms_max: Millis = Millis::seconds(10),
            Allowed::Time(Millis::new(10), Millis::hours(1));
        /// A connection that has sent nothing for so long, with no request under way, is closed.
        connection_idle_ms_max: Millis = Millis::minutes(10),
            Allowed::Time(Millis::new(10), Millis::hours(24 * 365));
        /// Requests of one connection under way; past it, nothing more is read from the socket.
        requests_in_flight_max: u32 = 64, Allowed::Count(1, 10_000);
        /// Bytes of one connection's requests under way; past it, nothing more is read from the socket. One
        /// request is always let in, however large.
        bytes_in_flight_max: ByteSize = ByteSize::mib(32),
            Allowed::Size(ByteSize::kib(64), ByteSize::gib(16));
        /// Elements of all lists in one request together: topics, partitions, names, settings. A request with more is
        /// refused.
        request_elements_max: u32 = 200_000, Allowed::Count(1_000, 4_194_304);
        /// Memory for large requests that arrive, all connections together, and as much again for the requests that wait
        /// for their answer; past it, connections wait their turn.
        request_memory_bytes_max: ByteSize = ByteSize::mib(256),
            Allowed::Size(ByteSize::mib(1), ByteSize::gib(1024));
        /// The largest answer that describes topics. A request for more is refused: ask for fewer topics at a time.
        answer_bytes_max: ByteSize = ByteSize::mib(64),
            Allowed::Size(ByteSize::mib(1), ByteSize::gib(1));
        /// Memory for large answers that clients have not taken yet, all connections together; past it, the next one
        /// hears that the broker is overloaded. Records do not count: they are sent from the log.
        answer_memory_bytes_max: ByteSize = ByteSize::mib(256),
            Allowed::Size(ByteSize::mib(1), ByteSize::gib(1024));
        /// A connection that takes no byte of an answer for so long is closed.
        slow_reader_ms_max: Millis = Millis::seconds(30),
            Allowed::Time(Millis::new(10), Millis::hours(1));
        /// Topics in the cluster.
        topics_max: u32 = 20_000, Allowed::Count(1, 1_000_000);
        /// Partitions in the cluster, replicas not counted.
        partitions_max: u32 = 50_000, Allowed::Count(1, 1_000_000);
        /// Idempotent producers remembered per partition. The one that is idle longest makes room for another,
        /// unless it has appended within the last 5 minutes: then new ones are asked to come again.
        producers_per_partition_max: u32 = 10_000, Allowed::Count(1, 1_000_000);
    }
}

settings! {
    /// Disks, files and the threads that look after them.
    pub struct StorageConfig in "storage" {
        /// With less free space on a disk its partitions become read-only: reads and deletes go on, writing
        /// resumes by itself when there is room again.
        free_bytes_min: ByteSize = ByteSize::gib(1),
            Allowed::Size(ByteSize::mib(1), ByteSize::gib(1024 * 1024));
        /// Log files held open at once; 0 takes half of what the system allows this process.
        open_files_max: u32 = 0, Allowed::Count(0, 10_000_000);
        /// Log files mapped into memory at once. Every open log file may be mapped, so no more are held open either.
        /// The system allows a process 65530 maps unless told otherwise.
        maps_max: u32 = 32_768, Allowed::Count(64, 10_000_000);
        /// Threads per data folder that bring files to stable storage at the same time.
        flush_threads: u32 = 16, Allowed::Count(1, 256);
        /// How often recovery points and log starts are written down; bounds what a restart after a crash
        /// reads again.
        checkpoint_interval_ms: Millis = Millis::seconds(1),
            Allowed::Time(Millis::new(10), Millis::minutes(10));
        /// How fast closed segments are read through for damage, in bytes a second, all data folders together; 0
        /// switches it off.
        scrub_bytes_per_second: ByteSize = ByteSize::mib(8),
            Allowed::Size(ByteSize::new(0), ByteSize::gib(16));
        /// How long after the last time they are read through again; later when a pass takes longer.
        scrub_interval_ms: Millis = Millis::hours(7 * 24),
            Allowed::Time(Millis::new(10), Millis::hours(24 * 365));
        /// How often segments are checked against retention.ms and retention.bytes.
        retention_check_interval_ms: Millis = Millis::minutes(1),
            Allowed::Time(Millis::new(10), Millis::hours(24));
        /// How often compacted topics are checked for whether a run is due.
        compaction_check_interval_ms: Millis = Millis::seconds(15),
            Allowed::Time(Millis::new(10), Millis::hours(24));
        /// Memory for the keys of a compaction run, 24 bytes each and a third of that to spare; with less than the
        /// keys need, a run takes several passes.
        compaction_memory_max: ByteSize = ByteSize::mib(128),
            Allowed::Size(ByteSize::kib(64), ByteSize::gib(64));
        /// What compaction may read and write in a second, taken together.
        compaction_bytes_per_second_max: ByteSize = ByteSize::mib(64),
            Allowed::Size(ByteSize::kib(64), ByteSize::gib(64));
    }
}

settings! {
    /// What is logged, and how.
    pub struct LogConfig in "log" {
        /// The least level that is logged, or several by module, such as
        /// `info,thalweg_broker::partition=debug`.
        level: String = "info".to_owned(),
            Allowed::Form(
                "error, warn, info, debug, trace or off, alone or as module=level, separated by commas",
            );
        /// Lines for people, or one JSON object per line.
        format: LogFormat = LogFormat::Human, Allowed::OneOf(&["human", "json"]);
    }
}

settings! {
    /// What is counted.
    pub struct MetricsConfig in "metrics" {
        /// Partitions that get figures of their own; those beyond count only in the sums.
        partition_series_max: u32 = 2_000, Allowed::Count(0, 1_000_000);
        /// Topics that get figures of their own; those beyond are counted together as "(other)".
        topic_series_max: u32 = 1_000, Allowed::Count(0, 1_000_000);
        /// Groups that get figures of their own, those that are gone included until the broker restarts; those
        /// beyond are only counted.
        group_series_max: u32 = 500, Allowed::Count(0, 1_000_000);
        /// Partitions of groups whose lag is shown, counted like the groups.
        group_partition_series_max: u32 = 2_000, Allowed::Count(0, 1_000_000);
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

impl Value for LogFormat {
    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Human => "\"human\"".to_owned(),
            Self::Json => "\"json\"".to_owned(),
        }
    }
}

impl Value for BrokerId {
    fn read(raw: &Raw) -> Option<Self> {
        let number = i32::try_from(raw.integer()?).ok()?;
        (number >= 0).then(|| Self::new(number))
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for Option<ClusterId> {
    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        if text.is_empty() {
            return Some(None);
        }
        let id: ClusterId = text.parse().ok()?;
        (id != ClusterId::NONE).then_some(Some(id))
    }

    fn shown(&self) -> String {
        self.map(|id| format!("\"{id}\"")).unwrap_or_default()
    }
}

impl Value for Vec<PathBuf> {
    fn read(raw: &Raw) -> Option<Self> {
        let mut folders = Self::new();
        for item in raw.list()? {
            let folder = PathBuf::from(item.text().filter(|text| !text.is_empty())?);
            if folders.contains(&folder) {
                return None;
            }
            folders.push(folder);
        }
        (!folders.is_empty()).then_some(folders)
    }

    fn shown(&self) -> String {
        let folders: Vec<String> =
            self.iter().map(|folder| format!("{:?}", folder.display().to_string())).collect();
        format!("[{}]", folders.join(", "))
    }
}

impl Value for Option<String> {
    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        let fits = text.chars().count() <= 249 && !text.chars().any(char::is_control);
        fits.then(|| (!text.is_empty()).then(|| text.to_owned()))
    }

    fn shown(&self) -> String {
        self.as_ref().map(|text| format!("{text:?}")).unwrap_or_default()
    }
}

/// The log filter: levels, alone or by module.
impl Value for String {
    fn read(raw: &Raw) -> Option<Self> {
        const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
        let text = raw.text()?;
        let good = text.split(',').map(str::trim).all(|part| {
            let (module, level) = part.split_once('=').unwrap_or(("all", part));
            !module.trim().is_empty()
                && LEVELS.iter().any(|known| level.trim().eq_ignore_ascii_case(known))
        });
        good.then(|| text.to_owned())
    }

    fn shown(&self) -> String {
        format!("{self:?}")
    }
}
