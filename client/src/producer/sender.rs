//! The producer's task: takes batches that are due, sends them to the leaders, and acts on the answers.
//!
//! Owns the line of every partition, what is in flight to each broker, and the producer's identity. One
//! loop, one task; what takes time (a request, a connection, a refresh) runs as a future beside it and
//! comes back as an event. Never holds a lock across an await.
//!
//! Invariants: a batch is in exactly one place (gathering, requeued, in line) until it is resolved; every
//! batch is resolved by its delivery deadline, at the latest when the producer ends; a partition has one
//! line at a time, and what is in it goes to the topic of one id.

mod agenda;
mod answers;
mod broker;
mod dispatch;
mod expiry;
mod identity;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thalweg_protocol::native::{InitProducerResponse, ProduceResponse};
use thalweg_protocol::{LeaderEpoch, TopicId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::broker::Broker;
use super::accumulator::Accumulator;
use super::batch::Batch;
use super::options::ProducerOptions;
use super::queue::PartitionQueue;
use super::receipt::Outcome;
use super::sequence::{Identity, Lineup, Ticket};
use crate::clock::{Instant, now};
use crate::error::{AdminError, CallError, FlushError, SendError};
use crate::metadata::Image;
use crate::retry::Backoff;
use crate::router::{Refresh, Router, Turn};

/// What a producer's handle asks of its task.
pub(super) enum Command {
    /// Close all open batches, and answer with the outcome of everything that is on its way.
    Flush(oneshot::Sender<Vec<Arc<Outcome>>>),
}

/// What came back from something that took time.
enum Event {
    Answered { request: Sent, answer: Result<Option<ProduceResponse>, CallError> },
    Connected { address: Arc<str>, failure: Option<CallError> },
    Refreshed(Result<(), CallError>),
    Identified(Result<InitProducerResponse, AdminError>),
}

/// A produce request in flight.
struct Sent {
    address: Arc<str>,
    begun: Instant,
    bytes: usize,
    /// Its batches, in the order of the request.
    batches: Vec<(TopicId, usize, Ticket)>,
}

/// One partition as the sender sees it.
struct Line {
    queue: Arc<PartitionQueue>,
    lineup: Lineup<Batch>,
    /// To be numbered anew, before all that gathers.
    requeued: VecDeque<Batch>,
    /// Under which its batches are numbered now, or were last.
    identity: Option<Identity>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    /// Its entry among those that linger, if it is still there.
    lingers_until: Option<Instant>,
    /// The topic and the epoch under which its leader knows it.
    leader: Option<(TopicId, LeaderEpoch)>,
    /// Since when the brokers say that there is no such topic.
    missing_since: Option<Instant>,
    last_trouble: String,
}

/// What failed since the last flush.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Option<FlushError>>);

impl Failures {
    fn add(&self, records: u32, error: &SendError) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.get_or_insert_with(|| FlushError {
            records_failed: 0,
            batches_failed: 0,
            first: error.clone(),
        });
        failures.records_failed += u64::from(records);
        failures.batches_failed += 1;
    }

    pub(super) fn take(&self) -> Option<FlushError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(super) struct Sender {
    router: Arc<Router>,
    options: ProducerOptions,
    accumulator: Arc<Accumulator>,
    failures: Arc<Failures>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    lines: HashMap<usize, Line>,
    /// Lines that have something to send or to wait for.
    active: BTreeSet<usize>,
    /// Those to which something happened since the last turn.
    marked: Vec<usize>,
    /// Those that are left alone for a moment, and until when.
    paused: BTreeSet<(Instant, usize)>,
    /// By which the partitions were brought to their leaders.
    placed_by: Arc<Image>,
    brokers: HashMap<Arc<str>, Broker>,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    identity: identity::IdentityState,
    refresh: Refresh,
    next_expiry: Instant,
    /// When to look again though nothing happened.
    wake_at: Instant,
    last_trouble: String,
}

/// The longest sleep, when nothing is to be done.
const IDLE: Duration = Duration::from_mins(1);

impl Sender {
    pub(super) fn new(
        router: Arc<Router>,
        options: ProducerOptions,
        accumulator: Arc<Accumulator>,
        failures: Arc<Failures>,
        commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) -> Self {
        let begun = now();
        Self {
            identity: identity::IdentityState::new(options.is_idempotent()),
            refresh: router.refreshing_from(begun),
            router,
            options,
            accumulator,
            failures,
            commands,
            stop,
            lines: HashMap::new(),
            active: BTreeSet::new(),
            marked: Vec::new(),
            paused: BTreeSet::new(),
            placed_by: Arc::default(),
            brokers: HashMap::new(),
            events: FuturesUnordered::new(),
            next_expiry: begun + IDLE,
            wake_at: begun,
            last_trouble: "no broker answered yet".to_owned(),
        }
    }

    /// Runs until the producer's last handle is gone.
    pub(super) async fn run(mut self) {
        let accumulator = self.accumulator.clone();
        let stop = self.stop.clone();
        loop {
            self.work();
            tokio::select! {
                () = stop.cancelled() => break,
                () = accumulator.wake.notified() => {}
                Some(event) = self.events.next(), if !self.events.is_empty() => {
                    self.handle(event);
                    // What else has arrived is acted on in the same turn.
                    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.events.next()) {
                        self.handle(event);
                    }
                }
                Some(command) = self.commands.recv() => self.obey(command),
                () = sleep_until(self.wake_at) => {}
            }
        }
        self.abandon();
    }

    /// Everything that can be done now without waiting.
    fn work(&mut self) {
        let now = now();
        self.wake_at = now + IDLE;
        self.take_touched(now);
        self.end_replaced();
        if now >= self.next_expiry {
            self.expire(now);
        }
        self.dispatch(now);
        self.identify();
        self.refresh(now);
        self.wake_at = self.wake_at.min(self.next_expiry);
        if !self.marked.is_empty() {
            // By what was done just now: a request that could not be sent, a topic that was replaced.
            self.wake_at = now;
        }
    }

    fn take_touched(&mut self, now: Instant) {
        for queue in self.accumulator.take_touched() {
            let index = queue.line;
            self.active.insert(index);
            self.mark(index);
            let soon = self.options.delivery_timeout.min(10 * expiry::SCAN);
            self.next_expiry = self.next_expiry.min(now + soon);
            let (options, router) = (&self.options, &self.router);
            self.lines.entry(index).or_insert_with(|| Line {
                queue,
                lineup: Lineup::new(options.is_idempotent(), options.in_flight_max),
                requeued: VecDeque::new(),
                identity: None,
                backoff: router.backoff(),
                retry_at: None,
                lingers_until: None,
                leader: None,
                missing_since: None,
                last_trouble: String::new(),
            });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Answered { request, answer } => self.answered(&request, answer),
            Event::Connected { address, failure } => self.connected(&address, failure),
            Event::Refreshed(outcome) => self.refreshed(outcome),
            Event::Identified(outcome) => self.identified(outcome),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Flush(reply) => {
                self.take_touched(now());
                let mut outcomes = Vec::new();
                for index in &self.active {
                    let Some(line) = self.lines.get(index) else {
                        continue;
                    };
                    outcomes.extend(line.queue.seal());
                    let numbered = line.lineup.batches().chain(&line.requeued);
                    outcomes.extend(numbered.map(|batch| batch.outcome.clone()));
                }
                self.mark_all();
                // Who asked may have stopped waiting.
                let _ = reply.send(outcomes);
            }
        }
    }

    /// Asks for metadata when somebody needs it or it is old.
    fn refresh(&mut self, now: Instant) {
        let image = self.router.image();
        match self.refresh.turn(image.refreshed, now) {
            Turn::Ask => {
                let (router, seen) = (self.router.clone(), image.version);
                let asked = async move { Event::Refreshed(router.refresh(seen).await) };
                self.events.push(Box::pin(asked));
            }
            Turn::Sleep { until } => self.wake_at = self.wake_at.min(until),
            Turn::Rest => {}
        }
    }

    fn refreshed(&mut self, outcome: Result<(), CallError>) {
        self.refresh.answered(&outcome, now(), fastrand::f64());
        self.mark_all();
        match outcome {
            Ok(()) => {
                let image = self.router.image();
                for (topic, id, count) in self.accumulator.known() {
                    let Some(known) = image.topics.get(&topic) else {
                        continue;
                    };
                    // Of the same id, fewer are an older answer: a topic never loses partitions.
                    if known.id != id {
                        self.topic_replaced(&topic, id);
                    } else if known.partitions.len() > count {
                        self.accumulator.learn(&topic, id, known.partitions.len());
                    }
                }
            }
            Err(error) => self.last_trouble = error.to_string(),
        }
    }

    /// The producer is gone: everybody who still waits is told.
    fn abandon(&mut self) {
        let queues = self.accumulator.close();
        for queue in &queues {
            while let Some(gathered) = queue.take() {
                gathered.outcome.resolve(Err(SendError::Closed));
            }
        }
        for line in self.lines.values() {
            for batch in line.lineup.batches() {
                batch.outcome.resolve(Err(SendError::OutcomeUnknown {
                    topic: line.queue.topic.to_string(),
                    partition: line.queue.partition,
                    reason: "the producer was dropped before the answer came".to_owned(),
                }));
            }
            for batch in &line.requeued {
                batch.outcome.resolve(Err(SendError::Closed));
            }
        }
    }
}

#[cfg(test)]
mod tests;
