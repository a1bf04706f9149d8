//! The coordinator as the rest of the broker sees it: which shard a group belongs to, and questions to it.

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use thalweg_protocol::murmur2::partition_for_key;
use thalweg_protocol::{BrokerId, PartitionIndex};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::error::CoordinatorError;
use super::follow::{ShardHandle, Shared, follow};
use super::group::{
    Answer, DescribedGroup, GroupFigures, GroupOptions, GroupState, ListedGroup, Request,
    check_group,
};
use super::lag::Lag;
use super::shard::{Job, QUEUE_MAX, ShardOptions, no_answer};
use super::share::Held;
use crate::base::{Clock, Readiness, Tasks};
use crate::cluster::{MetadataError, MetadataHandle, NewTopic, OFFSETS_TOPIC, Refusal};
use crate::config::BrokerConfig;
use crate::metrics::{CoordinatorMetrics, GroupSeries};
use crate::partition::Table;

/// Shards that are read at a time.
const LOADS_MAX: usize = 4;

/// How often a question waits for the shards of a topic that was just made.
const MADE_CHECK: Duration = Duration::from_millis(2);

/// What a coordinator is made of.
#[derive(Debug)]
pub struct CoordinatorOptions {
    /// The broker's settings.
    pub config: Arc<BrokerConfig>,
    /// The partitions held here.
    pub table: Arc<Table>,
    /// The cluster's metadata.
    pub metadata: MetadataHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where shards work.
    pub control: Handle,
    /// Where they write and read.
    pub data: Handle,
    /// Watches their tasks.
    pub tasks: Tasks,
    /// Told of a shard that is given up.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Arc<CoordinatorMetrics>,
    /// What is shown of single groups.
    pub series: Arc<GroupSeries>,
}

/// The coordinator of the groups whose shards are led here. Cheap to clone; all clones are one.
///
/// Each shard has a bounded queue; when it is full a question is refused at once.
#[derive(Clone, Debug)]
pub struct Coordinator {
    shared: Arc<Shared>,
    lag: Lag,
}

/// The groups led here, as far as they can be told.
#[derive(Debug, Default)]
pub struct Listing {
    /// The groups, by name.
    pub groups: Vec<ListedGroup>,
    /// The shards whose groups are not among them, and why.
    pub missing: Vec<(PartitionIndex, CoordinatorError)>,
}

/// Why a question did not get into a queue.
enum NotBegun {
    /// There is no `__consumer_offsets` yet.
    NoTopic(Box<Request>),
    Refused(CoordinatorError),
}

/// The shard of a group: by the hash of its name, over a number of shards that never changes.
pub fn shard_of(group: &str, shards: usize) -> PartitionIndex {
    let count = i32::try_from(shards).unwrap_or(i32::MAX).max(1);
    partition_for_key(group.as_bytes(), count)
}

impl Coordinator {
    /// Begins to look after the shards that are led here, as the metadata says.
    pub fn start(options: CoordinatorOptions) -> Self {
        let config = &options.config;
        let shared = Arc::new(Shared {
            me: config.node_id,
            shards_at_creation: i32::try_from(config.groups.offsets_partitions).unwrap_or(50),
            metadata: options.metadata.clone(),
            shards: RwLock::default(),
        });
        let (data, clock) = (options.data.clone(), Arc::clone(&options.clock));
        let lag = Lag::new(Arc::clone(&options.table), clock, data);
        let lag_interval = config.groups.lag_interval_ms.duration();
        let shard_options = ShardOptions {
            groups: Arc::new(GroupOptions::of(&config.groups)),
            cleanup_interval: config.groups.cleanup_interval_ms.duration(),
            table: options.table,
            metadata: options.metadata,
            clock: options.clock,
            data: options.data,
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
            tasks: options.tasks.clone(),
            readiness: options.readiness,
            held: Arc::new(Held::default()),
            metrics: options.metrics,
        };
        let (tasks, control) = (options.tasks, options.control);
        let following = follow(Arc::clone(&shared), shard_options, control.clone());
        tasks.spawn("groups", &control, following);
        let this = Self { shared, lag: lag.clone() };
        tasks.spawn("group lag", &control, lag.show(this.clone(), options.series, lag_interval));
        this
    }

    /// Puts a question into the queue of the group's shard at once, so that questions of one connection are begun in
    /// order; the answer comes later.
    pub fn ask(
        &self,
        request: Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer, CoordinatorError>> + Send + use<> {
        let begun = self.begin(request);
        let this = self.clone();
        async move {
            let (shard, answer) = match begun {
                Ok(begun) => begun,
                Err(NotBegun::Refused(error)) => return Err(error),
                Err(NotBegun::NoTopic(request)) => this.begin_with_topic(*request, timeout).await?,
            };
            let timeout_ms = timeout.as_millis();
            match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(answer)) => answer,
                // The worker is gone with the question, or the round with its writer.
                Ok(Err(_)) => no_answer(shard),
                Err(_) => Err(CoordinatorError::TimedOut { shard, timeout_ms }),
            }
        }
    }

    /// The same with how far the group is behind.
    pub async fn with_lag(&self, group: DescribedGroup) -> DescribedGroup {
        self.lag.of_group(group).await
    }

    /// Whether any shard is led here.
    pub(super) fn has_shards(&self) -> bool {
        self.shared.read(|shards| !shards.is_empty())
    }

    /// The groups of all shards led here. What one shard cannot tell is missing without the others.
    pub fn list(
        &self,
        states: &[GroupState],
        timeout: Duration,
    ) -> impl Future<Output = Listing> + Send + use<> {
        let shards = self.shared.read(|shards| {
            let asked = shards.iter().map(|(number, shard)| {
                let (reply, answer) = oneshot::channel();
                // A full queue shows as no answer.
                let _ =
                    shard.jobs.try_send(Job::Ask(Box::new(Request::List(states.to_vec())), reply));
                (*number, answer)
            });
            asked.collect::<Vec<_>>()
        });
        async move {
            let deadline = tokio::time::Instant::now() + timeout;
            let mut listing = Listing::default();
            for (shard, answer) in shards {
                let timeout_ms = timeout.as_millis();
                let error = match tokio::time::timeout_at(deadline, answer).await {
                    Ok(Ok(Ok(Answer::Listed(groups)))) => {
                        listing.groups.extend(groups);
                        continue;
                    }
                    Ok(Ok(Err(error))) => error,
                    Ok(Ok(Ok(_)) | Err(_)) => CoordinatorError::Reloading { shard },
                    Err(_) => CoordinatorError::TimedOut { shard, timeout_ms },
                };
                listing.missing.push((shard, error));
            }
            listing.groups.sort_by(|a, b| a.group.cmp(&b.group));
            listing.missing.sort_by_key(|(shard, _)| *shard);
            listing
        }
    }

    /// The group's shard and the broker that leads it. Makes `__consumer_offsets` when there is none.
    pub async fn leader_of(
        &self,
        group: &str,
        timeout: Duration,
    ) -> Result<(PartitionIndex, BrokerId), CoordinatorError> {
        check_group(group)?;
        self.make_topic(timeout).await?;
        let image = self.shared.metadata.image();
        let topic = image.topic_named(OFFSETS_TOPIC);
        let shard = shard_of(group, topic.map_or(1, |topic| topic.partitions.len()));
        let leader = topic.and_then(|topic| topic.partition(shard)).map(|entry| entry.leader);
        Ok((shard, leader.unwrap_or(BrokerId::NONE)))
    }

    /// Every group led here, in numbers, and whether these are all: shards that are loading or busy are left out.
    pub async fn figures(&self, timeout: Duration) -> (Vec<GroupFigures>, bool) {
        let asked: Vec<_> = self.shared.read(|shards| {
            let ask = |shard: &ShardHandle| {
                let (reply, figures) = oneshot::channel();
                shard.jobs.try_send(Job::Figures(reply)).ok().map(|()| figures)
            };
            shards.values().map(ask).collect()
        });
        let (mut all, mut is_whole) = (Vec::new(), true);
        for figures in asked {
            let figures = async { figures?.await.ok()? };
            match tokio::time::timeout(timeout, figures).await {
                Ok(Some(figures)) => all.extend(figures),
                _ => is_whole = false,
            }
        }
        (all, is_whole)
    }

    fn begin(
        &self,
        request: Request,
    ) -> Result<(PartitionIndex, oneshot::Receiver<Result<Answer, CoordinatorError>>), NotBegun>
    {
        let image = self.shared.metadata.image();
        let Some(topic) = image.topic_named(OFFSETS_TOPIC) else {
            return Err(NotBegun::NoTopic(Box::new(request)));
        };
        let shard = shard_of(request.group(), topic.partitions.len());
        let leader = topic.partition(shard).map_or(BrokerId::NONE, |entry| entry.leader);
        let (reply, answer) = oneshot::channel();
        let sent = self.shared.read(|shards| {
            shards
                .get(&shard)
                .map(|handle| handle.jobs.try_send(Job::Ask(Box::new(request), reply)))
        });
        match sent {
            Some(Ok(())) => Ok((shard, answer)),
            Some(Err(mpsc::error::TrySendError::Full(_))) => {
                Err(NotBegun::Refused(CoordinatorError::Overloaded { shard, waiting: QUEUE_MAX }))
            }
            // Led here, as the image says: its worker is about to begin.
            _ if leader == self.shared.me => {
                Err(NotBegun::Refused(CoordinatorError::Loading { shard }))
            }
            _ => Err(NotBegun::Refused(CoordinatorError::NotCoordinator { shard, leader })),
        }
    }

    async fn begin_with_topic(
        &self,
        request: Request,
        timeout: Duration,
    ) -> Result<
        (PartitionIndex, oneshot::Receiver<Result<Answer, CoordinatorError>>),
        CoordinatorError,
    > {
        self.make_topic(timeout).await?;
        match self.begin(request) {
            Ok(begun) => Ok(begun),
            Err(NotBegun::Refused(error)) => Err(error),
            Err(NotBegun::NoTopic(_)) => {
                Err(CoordinatorError::Loading { shard: PartitionIndex::new(0) })
            }
        }
    }

    /// Makes `__consumer_offsets` unless it is there, and waits until its shards that are led here have workers.
    async fn make_topic(&self, timeout: Duration) -> Result<(), CoordinatorError> {
        if self.shared.metadata.image().topic_named(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let topic = NewTopic {
            name: OFFSETS_TOPIC.to_owned(),
            partitions: Some(self.shared.shards_at_creation),
            replication_factor: None,
            configs: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
            internal: true,
        };
        let made = self.shared.metadata.create_topics(vec![topic], false, timeout).await?;
        for result in made {
            match result {
                // Another question was quicker.
                Ok(_) | Err(Refusal::TopicExists { .. }) => {}
                Err(refusal) => return Err(MetadataError::from(refusal).into()),
            }
        }
        let deadline = tokio::time::Instant::now() + timeout;
        while !self.shared.has_workers() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(MADE_CHECK).await;
        }
        Ok(())
    }
}
