//! One shard: a partition of `__consumer_offsets` that is led here, and the groups that its records say.
//!
//! ```text
//! Loading -> Serving:  the log is read to its end, and all of it is committed
//! Serving -> Loading:  something could not be written: what is in memory may not be true
//! Serving -> Loading:  the worker has panicked, not too often
//! any     -> Given up: it has panicked too often; whoever asks hears it, and the broker is not ready
//! any     -> gone:     this broker leads the partition no more
//! ```
//! A worker for each, on the control runtime: reads the log, then serves (`serving.rs`). Of the tasks that write for it,
//! one after the other, only the one that holds the shard's pen may append, and the log is read with the pen in hand: what
//! an earlier writer had begun is in the log before it is read, or never.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{LeaderEpoch, PartitionIndex, TopicPartition};
use thalweg_storage::defects::{Defect, planted};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::CoordinatorError;
use super::group::{Answer, GroupFigures, GroupOptions, Groups, Moment, Request};
use super::load::{self, LoadError, Loaded};
use super::restarts::Restarts;
use super::serving::{Ended, Serving};
use super::share::{Held, Share};
use super::topics::ImageTopics;
use super::writer::Reply;
use crate::base::{Clock, Readiness, Tasks};
use crate::cluster::MetadataHandle;
use crate::metrics::CoordinatorMetrics;
use crate::partition::{Partition, Table};

/// Questions that wait for one shard at most; more are refused.
pub(super) const QUEUE_MAX: usize = 8_192;

/// How soon a shard that could not be read, or whose worker has panicked, is tried again.
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
    pub(super) tasks: Tasks,
    pub(super) readiness: Readiness,
    /// Bounds how many shards are read at a time.
    pub(super) loads: Arc<Semaphore>,
    /// What all shards of this broker hold.
    pub(super) held: Arc<Held>,
    pub(super) metrics: Arc<CoordinatorMetrics>,
}

impl ShardOptions {
    pub(super) fn topics(&self) -> ImageTopics {
        ImageTopics { image: self.metadata.image(), table: Arc::clone(&self.table) }
    }

    pub(super) fn moment<'a>(&self, topics: &'a ImageTopics, share: &Share) -> Moment<'a> {
        Moment {
            now: self.clock.now(),
            wall: self.clock.wall(),
            topics,
            groups_elsewhere: share.groups_elsewhere(),
            members_elsewhere: share.members_elsewhere(),
        }
    }
}

/// What waits in a shard's queue.
#[derive(Debug)]
pub(super) enum Job {
    /// A question.
    Ask(Box<Request>, Reply),
    /// All groups in numbers; none while the shard is loading.
    Figures(oneshot::Sender<Option<Vec<GroupFigures>>>),
}

/// The worker of one shard.
#[derive(Debug)]
pub(super) struct Shard {
    options: ShardOptions,
    at: TopicPartition,
    epoch: LeaderEpoch,
    jobs: mpsc::Receiver<Job>,
    stop: CancellationToken,
    /// One permit: who holds it may append.
    pen: Arc<Semaphore>,
}

/// A shard that was read, and the pen to write it on.
struct Opened {
    partition: Arc<Partition>,
    loaded: Loaded,
    pen: OwnedSemaphorePermit,
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
        let pen = Arc::new(Semaphore::new(1));
        (Self { options, at, epoch, jobs, stop, pen }, sender)
    }

    const fn number(&self) -> PartitionIndex {
        self.at.partition
    }

    /// Loads and serves until the shard is led here no more. What was in hand at a panic is dropped: its askers are told
    /// to ask again, as they are while the shard is read anew.
    pub(super) async fn run(mut self) {
        let (tasks, clock) = (self.options.tasks.clone(), Arc::clone(&self.options.clock));
        let mut restarts = Restarts::default();
        while tasks.watch("group shard", self.work()).await.is_none() {
            self.options.metrics.reloads.increment(1);
            if !restarts.may_after_panic(clock.now()) {
                return self.give_up().await;
            }
            let pause = tokio::time::sleep(RETRY);
            if self.answer_during(pause, Self::not_yet).await.is_none() {
                return;
            }
        }
    }

    async fn work(&mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let Some(mut serving) = self.load().await else { return };
            match serving.run(&mut self.jobs, &stop).await {
                Ended::Stopped => return,
                Ended::Failed => self.options.metrics.reloads.increment(1),
            }
        }
    }

    /// Reads the shard, and says "loading" to everybody meanwhile.
    async fn load(&mut self) -> Option<Serving> {
        let (options, at, epoch) = (self.options.clone(), self.at, self.epoch);
        let began = options.clock.now();
        let reading = read(options, at, epoch, Arc::clone(&self.pen));
        let opened = self.answer_during(reading, Self::not_yet).await?;
        let took = self.options.clock.now().since(began);
        let (partition, records) = (Arc::clone(&opened.partition), opened.loaded.records);
        self.options.metrics.loaded(records, took);
        tracing::debug!(%partition, records, ?took, "groups are loaded");
        let options = self.options.clone();
        Some(Serving::begin(options, epoch, partition, opened.loaded, opened.pen).await)
    }

    /// Nobody but an operator mends it now.
    async fn give_up(&mut self) {
        let (part, shard) =
            (format!("groups of __consumer_offsets-{}", self.number()), self.number());
        self.options.readiness.not_ready(&part, CoordinatorError::GivenUp { shard }.to_string());
        tracing::error!(%shard, "a shard of __consumer_offsets is given up: its worker has panicked again and again");
        let given_up = |this: &Self, job| this.refuse(job, CoordinatorError::GivenUp { shard });
        self.answer_during(std::future::pending::<()>(), given_up).await;
        self.options.readiness.ready(&part);
    }

    /// Waits for `future`, and answers what is asked meanwhile. None when the shard is led here no more.
    async fn answer_during<T>(
        &mut self,
        future: impl Future<Output = T>,
        answer: impl Fn(&Self, Job),
    ) -> Option<T> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                done = &mut future => return Some(done),
                () = self.stop.cancelled() => return None,
                job = self.jobs.recv() => answer(self, job?),
            }
        }
    }

    /// Never "no offset": that would make a reader begin anew.
    fn not_yet(&self, job: Job) {
        let shard = self.number();
        match job {
            Job::Ask(request, reply) if planted(Defect::AnswerWhileLoading) => {
                let topics = self.options.topics();
                let share = Share::new(Arc::clone(&self.options.held));
                let round = Groups::new(Arc::clone(&self.options.groups))
                    .round(vec![*request], &self.options.moment(&topics, &share));
                if let Some(answer) = round.answers.into_iter().next() {
                    let _ = reply.send(answer.map_err(CoordinatorError::from));
                }
            }
            job => self.refuse(job, CoordinatorError::Loading { shard }),
        }
    }

    #[expect(clippy::unused_self, reason = "one shape for all that answers while nobody serves")]
    fn refuse(&self, job: Job, error: CoordinatorError) {
        match job {
            Job::Ask(_, reply) => {
                let _ = reply.send(Err(error));
            }
            Job::Figures(reply) => {
                let _ = reply.send(None);
            }
        }
    }
}

/// Reads a shard, again and again until it works.
async fn read(
    options: ShardOptions,
    at: TopicPartition,
    epoch: LeaderEpoch,
    pen: Arc<Semaphore>,
) -> Opened {
    // The writer before has to have laid it down. Nobody closes it.
    let pen = pen.acquire_owned().await.expect("the pen's semaphore is never closed");
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
                return Opened { partition, loaded, pen };
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
