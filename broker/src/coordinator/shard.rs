//! One shard: a partition of `__consumer_offsets` that is led here, and the groups that its records say.
//!
//! ```text
//! Loading -> Serving:  the log is read to its end, and all of it is committed
//! Serving -> Loading:  something could not be written: what is in memory may not be true
//! any     -> gone:     this broker leads the partition no more
//! ```
//! A worker for each, on the control runtime: takes what is queued, has the pure [`Groups`] answer it as one round, and
//! hands records and answers to the shard's [`Writer`]. Rounds follow each other without waiting for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use thalweg_protocol::{LeaderEpoch, PartitionIndex, TopicPartition};
use thalweg_storage::defects::{Defect, planted};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batches::batches;
use super::error::CoordinatorError;
use super::group::{
    Answer, GroupFigures, GroupOptions, Groups, Moment, Request, Round, SESSION_CHECK,
};
use super::load::{self, LoadError, Loaded};
use super::topics::ImageTopics;
use super::writer::{ROUNDS_MAX, Reply, Writer, Written};
use crate::base::Clock;
use crate::cluster::{MetadataHandle, MetadataIndex};
use crate::metrics::CoordinatorMetrics;
use crate::partition::{Partition, Table};

/// Questions that one round answers at most.
const ROUND_MAX: usize = 1_024;

/// Questions that wait for one shard at most; more are refused.
pub(super) const QUEUE_MAX: usize = 8_192;

/// How soon a shard that could not be read is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How often it is looked whether the partition is open yet.
const OPEN_CHECK: Duration = Duration::from_millis(2);

/// What a shard works with.
#[derive(Clone, Debug)]
pub(super) struct ShardOptions {
    pub(super) groups: Arc<GroupOptions>,
    pub(super) cleanup_interval: Duration,
    pub(super) table: Arc<Table>,
    pub(super) metadata: MetadataHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) data: Handle,
    /// Bounds how many shards are read at a time.
    pub(super) loads: Arc<Semaphore>,
    /// How many groups all shards of this broker keep.
    pub(super) groups_all: Arc<AtomicUsize>,
    pub(super) metrics: Arc<CoordinatorMetrics>,
}

/// What waits in a shard's queue.
#[derive(Debug)]
pub(super) enum Job {
    /// A question.
    Ask(Box<Request>, Reply),
    /// All groups in numbers; nothing while the shard is loading.
    Figures(oneshot::Sender<Vec<GroupFigures>>),
}

/// The worker of one shard.
#[derive(Debug)]
pub(super) struct Shard {
    options: ShardOptions,
    at: TopicPartition,
    epoch: LeaderEpoch,
    jobs: mpsc::Receiver<Job>,
    stop: CancellationToken,
}

/// A shard that was read.
struct Serving {
    groups: Groups,
    rounds: mpsc::Sender<Written>,
    failed: CancellationToken,
    partition: Arc<Partition>,
    /// What is counted in `groups_all` of this shard.
    counted: usize,
    next_tick: Instant,
    next_cleanup: Instant,
    topics_seen: MetadataIndex,
}

/// Why serving ended.
enum Ended {
    Failed,
    Stopped,
}

impl Shard {
    /// A shard of the partition `at`, led here in `epoch`, and where its questions go.
    pub(super) fn new(
        options: ShardOptions,
        at: TopicPartition,
        epoch: LeaderEpoch,
        stop: CancellationToken,
    ) -> (Self, mpsc::Sender<Job>) {
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        (Self { options, at, epoch, jobs, stop }, sender)
    }

    const fn number(&self) -> PartitionIndex {
        self.at.partition
    }

    /// Loads and serves until the shard is led here no more.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let Some(mut serving) = self.load().await else { return };
            let ended = self.serve(&mut serving).await;
            self.options.groups_all.fetch_sub(serving.counted, Ordering::Relaxed);
            match ended {
                Ended::Stopped => return,
                Ended::Failed => self.options.metrics.reloads.increment(1),
            }
        }
    }

    /// Reads the shard, and says "loading" to everybody meanwhile.
    async fn load(&mut self) -> Option<Serving> {
        let (options, at, epoch) = (self.options.clone(), self.at, self.epoch);
        let began = options.clock.now();
        let loading = read(options, at, epoch);
        tokio::pin!(loading);
        let (partition, loaded) = loop {
            tokio::select! {
                loaded = &mut loading => break loaded,
                () = self.stop.cancelled() => return None,
                job = self.jobs.recv() => self.not_yet(job?),
            }
        };
        let took = self.options.clock.now().since(began);
        self.options.metrics.loaded(loaded.records, took);
        tracing::debug!(%partition, records = loaded.records, ?took, "groups are loaded");
        Some(self.begin(partition, loaded).await)
    }

    /// Never "no offset": that would make a reader begin anew.
    fn not_yet(&self, job: Job) {
        let shard = self.number();
        match job {
            Job::Ask(request, reply) if planted(Defect::AnswerWhileLoading) => {
                let topics = self.topics();
                let round = Groups::new(Arc::clone(&self.options.groups))
                    .round(vec![*request], &self.moment(&topics, 0));
                if let Some(answer) = round.answers.into_iter().next() {
                    let _ = reply.send(answer.map_err(CoordinatorError::from));
                }
            }
            Job::Ask(_, reply) => {
                let _ = reply.send(Err(CoordinatorError::Loading { shard }));
            }
            Job::Figures(reply) => {
                let _ = reply.send(Vec::new());
            }
        }
    }

    async fn begin(&self, partition: Arc<Partition>, loaded: Loaded) -> Serving {
        let (rounds, written) = mpsc::channel(ROUNDS_MAX);
        let failed = CancellationToken::new();
        let writer = Writer {
            shard: self.number(),
            partition: Arc::clone(&partition),
            leader_epoch: self.epoch,
            clock: Arc::clone(&self.options.clock),
            failed: failed.clone(),
        };
        self.options.data.spawn(writer.run(written));
        let now = Instant::now();
        let topics = self.topics();
        let mut serving = Serving {
            groups: loaded.groups,
            rounds,
            failed,
            partition,
            counted: 0,
            next_tick: now + SESSION_CHECK,
            next_cleanup: now + self.options.cleanup_interval,
            topics_seen: topics.image.index(),
        };
        let records = serving.groups.loaded(&self.moment(&topics, 0));
        self.write(&mut serving, Round { records, ..Round::default() }, Vec::new()).await;
        serving
    }

    async fn serve(&mut self, serving: &mut Serving) -> Ended {
        let mut jobs = Vec::with_capacity(ROUND_MAX);
        loop {
            let has_groups = serving.groups.count() > 0;
            let next_tick = serving.next_tick;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ended::Stopped,
                () = serving.failed.cancelled() => return Ended::Failed,
                // An empty shard costs nothing.
                () = tokio::time::sleep_until(next_tick), if has_groups => self.tick(serving).await,
                count = self.jobs.recv_many(&mut jobs, ROUND_MAX) => {
                    if count == 0 {
                        return Ended::Stopped;
                    }
                    self.round(serving, &mut jobs).await;
                }
            }
        }
    }

    async fn round(&mut self, serving: &mut Serving, jobs: &mut Vec<Job>) {
        let topics = self.topics();
        let moment = self.moment(&topics, serving.counted);
        let (mut requests, mut replies) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in jobs.drain(..) {
            match job {
                // Who has given up is not answered, and nothing is done for him.
                Job::Ask(_, reply) if reply.is_closed() => {}
                Job::Ask(request, reply) => {
                    requests.push(*request);
                    replies.push(reply);
                }
                Job::Figures(reply) => {
                    let _ = reply.send(serving.groups.figures(&moment));
                }
            }
        }
        let round = serving.groups.round(requests, &moment);
        self.write(serving, round, replies).await;
    }

    async fn tick(&mut self, serving: &mut Serving) {
        let now = Instant::now();
        serving.next_tick = now + SESSION_CHECK;
        let topics = self.topics();
        let moment = self.moment(&topics, serving.counted);
        let round = serving.groups.tick(&moment);
        self.write(serving, round, Vec::new()).await;
        if topics.image.index() != serving.topics_seen {
            serving.topics_seen = topics.image.index();
            let round = serving.groups.topics_changed(&moment);
            self.write(serving, round, Vec::new()).await;
        }
        if now >= serving.next_cleanup {
            serving.next_cleanup = now + self.options.cleanup_interval;
            let round = serving.groups.clean(&moment);
            self.write(serving, round, Vec::new()).await;
        }
    }

    /// Hands a round to the writer; waits while too many are on their way.
    async fn write(&self, serving: &mut Serving, round: Round, replies: Vec<Reply>) {
        for fenced in &round.fenced {
            tracing::info!(group = %fenced.group, member = %fenced.member, reason = fenced.reason, "a member was taken out");
        }
        self.options.metrics.fenced.increment(round.fenced.len() as u64);
        self.count_groups(serving);
        if round.records.is_empty() && replies.is_empty() {
            return;
        }
        let bytes_max = serving.partition.settings().batch_bytes_max;
        let batches = batches(&round.records, self.options.clock.wall(), bytes_max);
        let answers = round.answers.into_iter().map(|answer| answer.map_err(Into::into));
        let answers = replies.into_iter().zip(answers).collect();
        // Without a writer the replies are dropped; `failed` or the runtime's end tells why.
        if serving.rounds.send(Written { batches, answers }).await.is_err() {
            serving.failed.cancel();
        }
    }

    fn count_groups(&self, serving: &mut Serving) {
        let count = serving.groups.count();
        if count != serving.counted {
            self.options.groups_all.fetch_add(count, Ordering::Relaxed);
            self.options.groups_all.fetch_sub(serving.counted, Ordering::Relaxed);
            serving.counted = count;
        }
    }

    fn topics(&self) -> ImageTopics {
        ImageTopics { image: self.options.metadata.image(), table: Arc::clone(&self.options.table) }
    }

    fn moment<'a>(&self, topics: &'a ImageTopics, counted: usize) -> Moment<'a> {
        let all = self.options.groups_all.load(Ordering::Relaxed);
        Moment {
            now: self.options.clock.now(),
            wall: self.options.clock.wall(),
            topics,
            groups_elsewhere: all.saturating_sub(counted),
        }
    }
}

/// Reads a shard, again and again until it works.
async fn read(
    options: ShardOptions,
    at: TopicPartition,
    epoch: LeaderEpoch,
) -> (Arc<Partition>, Loaded) {
    loop {
        let partition = opened(&options.table, at, epoch).await;
        let permit = Arc::clone(&options.loads).acquire_owned().await;
        let (reading, groups) = (Arc::clone(&partition), Arc::clone(&options.groups));
        let load = move || -> Result<Loaded, LoadError> {
            let _permit = permit;
            load::load(&reading, &groups)
        };
        match options.data.spawn_blocking(load).await {
            Ok(Ok(loaded)) => {
                load::committed(&partition, loaded.end).await;
                return (partition, loaded);
            }
            Ok(Err(error)) => {
                tracing::error!(%partition, %error, "groups cannot be read; trying again");
            }
            Err(error) => tracing::error!(%partition, %error, "reading groups was interrupted"),
        }
        options.metrics.load_failures.increment(1);
        tokio::time::sleep(RETRY).await;
    }
}

/// Waits until the partition is open and led in `epoch`.
async fn opened(table: &Table, at: TopicPartition, epoch: LeaderEpoch) -> Arc<Partition> {
    loop {
        if let Ok(partition) = table.get(at)
            && partition.leads_in(epoch)
        {
            return partition;
        }
        tokio::time::sleep(OPEN_CHECK).await;
    }
}

/// What an answer is when there is none.
pub(super) fn no_answer(shard: PartitionIndex) -> Result<Answer, CoordinatorError> {
    Err(CoordinatorError::Reloading { shard })
}
