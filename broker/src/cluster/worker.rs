//! The thread that plans changes, has the log commit them, and publishes the image: one change at a time.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use thalweg_protocol::BrokerId;
use tokio::sync::{mpsc, oneshot};

use super::controller::{Each, Refusal, Rules};
use super::handle::{MetadataError, MetadataHandle, Turn};
use super::image::Image;
use super::metadata_log::MetadataLog;
use super::publisher::Publisher;
use super::record::Record;

/// The most requests that are committed by one entry, and so by one sync.
const JOBS_PER_ENTRY_MAX: usize = 64;

/// How the metadata worker behaves.
#[derive(Clone, Debug)]
pub struct MetadataOptions {
    /// The broker that it runs on.
    pub broker: BrokerId,
    /// Limits and defaults for topics.
    pub rules: Rules,
    /// The most requests that wait; further ones are refused at once.
    pub requests_max: usize,
}

/// Owns the metadata log. Syncs block, so it runs on a thread of its own and never on an async worker.
pub struct MetadataWorker {
    rules: Rules,
    log: Box<dyn MetadataLog>,
    jobs: mpsc::Receiver<Job>,
}

impl MetadataWorker {
    /// A worker on `log`, and the handle to it. The publisher must have started from the log's image.
    pub fn new(
        options: MetadataOptions,
        mut log: impl MetadataLog,
        mut publisher: Publisher,
    ) -> (Self, MetadataHandle) {
        let (sender, jobs) = mpsc::channel(options.requests_max.max(1));
        let (current, newest) = (publisher.current(), publisher.subscribe());
        assert_eq!(
            current.load().index(),
            log.image().index(),
            "the publisher shows the log's image"
        );
        log.subscribe(Box::new(move |image| publisher.publish(image)));
        let handle = MetadataHandle::new(current, newest, sender, options.broker);
        (Self { rules: options.rules, log: Box::new(log), jobs }, handle)
    }

    /// Runs on a thread of its own until every handle is gone.
    pub fn spawn(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("metadata".to_owned()).spawn(move || self.run())
    }

    /// Carries out requests until every handle is gone. Blocks.
    pub fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut jobs = vec![first];
            while jobs.len() < JOBS_PER_ENTRY_MAX
                && let Ok(job) = self.jobs.try_recv()
            {
                jobs.push(job);
            }
            self.carry_out(jobs);
        }
    }

    /// Plans each request on the image that the ones before it lead to, commits all by one entry, answers.
    fn carry_out(&mut self, jobs: Vec<Job>) {
        let mut draft = Draft::new(self.log.image(), self.rules.clone());
        let mut planned = Vec::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| job.turn.begin()) {
            tracing::debug!(request = job.what, "metadata request");
            planned.push((job.plan)(&mut draft));
        }
        let committed = if draft.records.is_empty() {
            Ok(())
        } else {
            let proposed = self.log.propose(&draft.records);
            proposed.map(drop).map_err(|error| {
                tracing::error!(%error, "a metadata change failed");
                MetadataError::Log(Arc::new(error))
            })
        };
        for answer in planned {
            answer(committed.clone());
        }
    }
}

impl fmt::Debug for MetadataWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataWorker").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The next image as planned so far, and the records that lead to it.
#[derive(Debug)]
pub(super) struct Draft {
    image: Arc<Image>,
    records: Vec<Record>,
    rules: Rules,
}

impl Draft {
    fn new(image: Arc<Image>, rules: Rules) -> Self {
        Self { image, records: Vec::new(), rules }
    }

    /// The image as planned so far.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Plans these records too, all or none.
    pub(super) fn adopt(&mut self, records: Vec<Record>) -> Result<(), MetadataError> {
        if !records.is_empty() {
            let next = self.image.with_entry(self.image.index(), self.image.term(), &records)?;
            self.image = Arc::new(next);
            self.records.extend(records);
        }
        Ok(())
    }

    /// Plans each part of a request on its own, one after the other; with `validate_only` nothing is
    /// adopted in the end, but each part sees what the ones before it would have changed.
    pub(super) fn each<A, T>(
        &mut self,
        parts: &[A],
        validate_only: bool,
        plan: impl Fn(&Image, &Rules, &A) -> Result<(Vec<Record>, T), Refusal>,
    ) -> Result<Each<T>, MetadataError> {
        let before = self.mark();
        let mut results = Vec::with_capacity(parts.len());
        for part in parts {
            results.push(match plan(&self.image, &self.rules, part) {
                Ok((records, result)) => {
                    self.adopt(records)?;
                    Ok(result)
                }
                Err(refusal) => Err(refusal),
            });
        }
        if validate_only {
            self.go_back(before);
        }
        Ok(results)
    }

    /// Runs one request's plan; when it fails, nothing of it is left.
    fn all_or_nothing<T>(
        &mut self,
        plan: impl FnOnce(&mut Self) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        let before = self.mark();
        let planned = plan(self);
        if planned.is_err() {
            self.go_back(before);
        }
        planned
    }

    fn mark(&self) -> (Arc<Image>, usize) {
        (Arc::clone(&self.image), self.records.len())
    }

    fn go_back(&mut self, (image, records): (Arc<Image>, usize)) {
        self.image = image;
        self.records.truncate(records);
    }
}

/// Answers a request, when its records are committed or cannot be.
type Answer = Box<dyn FnOnce(Result<(), MetadataError>) + Send>;

/// A request: what to plan, and whom to answer.
pub(super) struct Job {
    what: &'static str,
    turn: Arc<Turn>,
    plan: Box<dyn FnOnce(&mut Draft) -> Answer + Send>,
}

impl Job {
    /// A request that `turn` lets begin, planned by `plan` and answered through `answer`.
    pub(super) fn new<T: Send + 'static>(
        what: &'static str,
        turn: Arc<Turn>,
        plan: impl FnOnce(&mut Draft) -> Result<T, MetadataError> + Send + 'static,
        answer: oneshot::Sender<Result<T, MetadataError>>,
    ) -> Self {
        let plan = move |draft: &mut Draft| {
            let planned = draft.all_or_nothing(plan);
            let finish = move |committed: Result<(), MetadataError>| {
                // Nobody waits any more when the deadline has passed.
                drop(answer.send(committed.and(planned)));
            };
            Box::new(finish) as Answer
        };
        Self { what, turn, plan: Box::new(plan) }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("what", &self.what).finish_non_exhaustive()
    }
}
