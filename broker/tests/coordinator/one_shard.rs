//! A coordinator with one shard over the simulated disk, spoken to without a wire.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thalweg_broker::base::{Clock, Millis, Readiness, SystemClock, Tasks};
use thalweg_broker::cluster::{MetadataHandle, NewTopic};
use thalweg_broker::config::BrokerConfig;
use thalweg_broker::coordinator::{
    Answer, ClientInfo, Commit, CommitItem, Coordinator, CoordinatorError, CoordinatorOptions,
    DescribedGroup, FetchOffsets, GroupOptions, Groups, Heartbeat, HeartbeatAnswer, Listing,
    Record, Request, Subscription, shard_of,
};
use thalweg_broker::metrics::Metrics;
use thalweg_broker::partition::{
    Directory, Flusher, FlusherWorker, Leadership, Member, Partition, Parts, Preparer,
    PreparerWorker, Replica, Settings, Table,
};
use thalweg_protocol::batch::BatchReader;
use thalweg_protocol::{
    BrokerEpoch, BrokerId, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs,
    TopicName, TopicPartition,
};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;
use thalweg_storage::{Log, LogDir, LogDirOptions, OpenFiles, Owner, PartitionMetadata};
use tokio::runtime::{Builder, Runtime};

use crate::clock::FaultyClock;
use crate::gate::Gate;

pub const PATIENCE: Duration = Duration::from_secs(20);

const NOW: TimestampMs = TimestampMs::new(1_700_000_000_000);

pub struct OneShard {
    pub coordinator: Coordinator,
    pub clock: Arc<FaultyClock>,
    pub partition: Arc<Partition>,
    pub metrics: Arc<Metrics>,
    pub tasks: Tasks,
    pub readiness: Readiness,
    /// A partition that members read.
    pub events: TopicPartition,
    leadership: Leadership,
    gate: Gate,
    flusher: Option<FlusherWorker>,
    preparer: Option<PreparerWorker>,
    runtimes: Vec<Runtime>,
    own: Runtime,
}

fn runtime(name: &str, threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name(name).enable_all().build().unwrap()
}

/// The shard's log, open, with those who look after it.
struct Opened {
    partition: Arc<Partition>,
    directory: Arc<Directory>,
    gate: Gate,
    flusher: FlusherWorker,
    preparer: PreparerWorker,
}

impl Opened {
    fn new(config: &BrokerConfig, metrics: &Metrics, tasks: &Tasks, at: TopicPartition) -> Self {
        let disk = SimDisk::new(1);
        let owner = Owner { node: config.node_id, cluster: None };
        let options =
            LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(16) };
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let dir = LogDir::open(fs, Path::new("/data"), &owner, options).unwrap();
        let figures = metrics.directory(dir.path());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let syncs = Arc::clone(&figures.syncs);
        let (flusher, flushing) = Flusher::start(&dir, 1, clock, syncs, tasks).unwrap();
        let (preparer, preparing) = Preparer::start(tasks).unwrap();
        let topic = TopicName::new("__consumer_offsets").unwrap();
        let compact = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let settings = Settings::of_topic(config, &compact);
        let stored = PartitionMetadata { topic: at.topic, name: topic.to_string() };
        let log = Log::create(&dir, at, &stored, settings.log.clone(), NOW).unwrap();
        let directory = Arc::new(Directory::new(dir, flusher, preparer, figures));
        let member = Member { broker: config.node_id, broker_epoch: BrokerEpoch::new(1) };
        let partition = Arc::new(Partition::new(Parts {
            at,
            topic: topic.clone(),
            log,
            replica: Replica::new(member, settings.rules),
            settings,
            directory: Arc::clone(&directory),
            high_watermark: Offset::ZERO,
            traffic: metrics.topic(&topic),
            figures: metrics.partition(&topic, at.partition),
        }));
        let gate = Gate::before("flusher", &disk);
        Self { partition, directory, gate, flusher: flushing, preparer: preparing }
    }
}

impl OneShard {
    pub fn start() -> Self {
        Self::among(1)
    }

    /// The shard of group `g`, of so many; the logs of the others are never opened.
    pub fn among(shards: i32) -> Self {
        let own = runtime("test", 1);
        let (control, data) = (runtime("control", 1), runtime("data", 2));
        let mut config = BrokerConfig::default();
        config.groups.lag_interval_ms = Millis::new(3_600_000);
        let config = Arc::new(config);
        let broker = config.node_id;
        let metadata = own.block_on(metadata(broker, shards));
        let at = |name: &str, number| {
            let image = metadata.image();
            let topic = image.topic_named(name).unwrap();
            let found = topic.partition(number).unwrap();
            (TopicPartition::new(topic.id, found.index), found.leader_epoch)
        };
        let number = shard_of("g", usize::try_from(shards).unwrap());
        let (events, _) = at("events", PartitionIndex::new(0));
        let (shard, epoch) = at("__consumer_offsets", number);

        let metrics = Metrics::new(&config);
        let clock = Arc::new(FaultyClock::new());
        let (tasks, readiness) = (Tasks::new(|_| {}), Readiness::new());
        let leadership =
            Leadership { epoch, partition_epoch: 0, replicas: vec![broker], isr: vec![broker] };
        let opened = Opened::new(&config, &metrics, &tasks, shard);
        opened.partition.lead(&leadership, clock.now()).unwrap();
        let table = Arc::new(Table::new(broker, vec![opened.directory]));
        table.insert(Arc::clone(&opened.partition));

        let coordinator = Coordinator::start(CoordinatorOptions {
            config,
            table,
            metadata,
            clock: clock.clone(),
            control: control.handle().clone(),
            data: data.handle().clone(),
            tasks: tasks.clone(),
            readiness: readiness.clone(),
            metrics: Arc::clone(&metrics.coordinator),
            series: Arc::clone(&metrics.groups),
        });
        let shard = Self {
            coordinator,
            clock,
            partition: opened.partition,
            metrics,
            tasks,
            readiness,
            events,
            leadership,
            gate: opened.gate,
            flusher: Some(opened.flusher),
            preparer: Some(opened.preparer),
            runtimes: vec![control, data],
            own,
        };
        Self::until("the shard is served", || shard.committed().is_ok());
        shard
    }

    /// Puts a question into the shard's queue; what it is answered.
    pub fn begin(
        &self,
        request: Request,
    ) -> tokio::task::JoinHandle<Result<Answer, CoordinatorError>> {
        self.own.spawn(self.coordinator.ask(request, PATIENCE))
    }

    pub fn end(
        &self,
        asked: tokio::task::JoinHandle<Result<Answer, CoordinatorError>>,
    ) -> Result<Answer, CoordinatorError> {
        self.own.block_on(asked).unwrap()
    }

    pub fn ask(&self, request: Request) -> Result<Answer, CoordinatorError> {
        self.end(self.begin(request))
    }

    pub fn commit(&self, offset: i64) -> Result<(), CoordinatorError> {
        self.ask(self.commit_of(offset)).map(|answer| match answer {
            Answer::Done(items) => assert!(items.iter().all(|(_, item)| item.is_ok()), "{items:?}"),
            other => panic!("{other:?}"),
        })
    }

    pub fn commit_of(&self, offset: i64) -> Request {
        let item = CommitItem {
            partition: self.events,
            offset: Offset::new(offset),
            leader_epoch: LeaderEpoch::new(0),
            metadata: String::new(),
        };
        let (member, epoch) = (String::new(), MemberEpoch::NONE);
        Request::Commit(Commit { group: "g".to_owned(), member, epoch, items: vec![item] })
    }

    /// What the coordinator says that is committed.
    pub fn committed(&self) -> Result<i64, CoordinatorError> {
        let fetch = FetchOffsets {
            group: "g".to_owned(),
            member: String::new(),
            epoch: MemberEpoch::NONE,
            partitions: Some(vec![self.events]),
        };
        match self.ask(Request::FetchOffsets(fetch))? {
            Answer::Offsets(offsets) => Ok(offsets[0].1.as_ref().unwrap().offset.get()),
            other => panic!("{other:?}"),
        }
    }

    /// The same, once it is served.
    pub fn committed_at_last(&self) -> i64 {
        Self::until("the shard is served again", || self.committed().is_ok());
        self.committed().unwrap()
    }

    /// What the log says that is committed.
    pub fn logged(&self) -> i64 {
        let reader = self.partition.reader();
        let (mut groups, mut at) = (Groups::new(Arc::new(GroupOptions::default())), Offset::ZERO);
        while at < reader.log_end() {
            let read = reader.read(at, 1 << 20, reader.log_end(), true).unwrap();
            at = read.next();
            for batch in BatchReader::new(read.into_bytes()) {
                for record in batch.unwrap().records().unwrap() {
                    let record = record.unwrap();
                    let known = Record::decode(record.key.unwrap(), record.value).unwrap();
                    groups.load(known.unwrap());
                }
            }
        }
        let offsets = groups.stored().into_iter().find_map(|record| match record {
            Record::Offset(_, at, Some(offset)) if at == self.events => Some(offset.offset.get()),
            _ => None,
        });
        offsets.unwrap_or(-1)
    }

    pub fn heartbeat(epoch: MemberEpoch) -> Request {
        let names = vec!["events".to_owned()];
        let subscription = Subscription { names, pattern: None };
        Request::Heartbeat(Heartbeat {
            group: "g".to_owned(),
            member: "m".to_owned(),
            instance: None,
            epoch,
            session_timeout_ms: 6_000,
            drain_timeout_ms: 0,
            subscription: (epoch == MemberEpoch::JOIN).then_some(subscription),
            assignor: None,
            owned: None,
            client: ClientInfo::default(),
        })
    }

    pub fn beat(&self, epoch: MemberEpoch) -> Result<HeartbeatAnswer, CoordinatorError> {
        self.ask(Self::heartbeat(epoch)).map(|answer| match answer {
            Answer::Heartbeat(answer) => answer,
            other => panic!("{other:?}"),
        })
    }

    pub fn describe(&self) -> Result<DescribedGroup, CoordinatorError> {
        self.ask(Request::Describe("g".to_owned())).map(|answer| match answer {
            Answer::Described(group) => *group,
            other => panic!("{other:?}"),
        })
    }

    pub fn list(&self) -> Listing {
        self.own.block_on(self.coordinator.list(&[], PATIENCE))
    }

    /// This broker leads the shard no more, as far as its log knows.
    pub fn resign(&self) {
        self.partition.resign();
    }

    pub fn lead(&self) {
        self.partition.lead(&self.leadership, self.clock.now()).unwrap();
    }

    pub fn hold_syncs(&self) {
        self.gate.close();
    }

    pub fn let_sync(&self) {
        self.gate.open();
    }

    /// The number that `/metrics` would show.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let number = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(number).unwrap_or_default()
    }

    /// Waits until the condition holds.
    pub fn until(what: &str, holds: impl Fn() -> bool) {
        let clock = SystemClock::new();
        while !holds() {
            assert!(clock.now().get() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for OneShard {
    fn drop(&mut self) {
        self.clock.let_go();
        self.let_sync();
        for runtime in self.runtimes.drain(..) {
            runtime.shutdown_background();
        }
        let workers = (self.flusher.take(), self.preparer.take());
        if let (Some(flusher), Some(preparer)) = workers {
            flusher.stop();
            preparer.stop();
        }
    }
}

/// The metadata of a broker that leads these shards, and one topic to read.
async fn metadata(broker: BrokerId, shards: i32) -> MetadataHandle {
    let metadata = crate::metadata::metadata(broker, PATIENCE).await;
    let topic = |name: &str, partitions, internal| NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: None,
        configs: Vec::new(),
        internal,
    };
    let topics = vec![topic("events", 1, false), topic("__consumer_offsets", shards, true)];
    for made in metadata.create_topics(topics, false, PATIENCE).await.unwrap() {
        made.unwrap();
    }
    metadata
}
