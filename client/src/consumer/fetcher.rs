//! The consumer's task: long polls at the leaders, read ahead up to the bound.
//!
//! Owns what is in flight and when to try again. Never hands out records, never skips any unless told to.

mod answers;
mod budget;
mod lookout;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thalweg_protocol::native::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use tokio::sync::Notify;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::budget::{Budget, Claim};
use self::lookout::Lookout;
use super::options::{ConsumerOptions, StartAt};
use super::position::{Board, Track};
use super::start::resolve;
use crate::clock::{Instant, millis, now};
use crate::connection::Watcher;
use crate::error::{CallError, ConsumeError};
use crate::metadata::Image;
use crate::pool::Lane;
use crate::retry::Backoff;
use crate::router::{Refresh, Router, Turn};

/// What handle and fetcher share.
#[derive(Debug)]
pub(crate) struct Shared {
    board: Mutex<Board>,
    /// Wakes the fetcher: memory is free, or a partition starts anew.
    pub(crate) wake: Notify,
    /// Wakes the group's task: the handle has let go of something.
    pub(crate) let_go: Notify,
    /// How often the handle was asked for records.
    polls: AtomicU64,
}

impl Shared {
    pub(crate) fn new(tracks: Vec<Track>) -> Self {
        let mut board = Board::default();
        board.tracks = tracks;
        Self {
            board: Mutex::new(board),
            wake: Notify::new(),
            let_go: Notify::new(),
            polls: AtomicU64::new(0),
        }
    }

    /// The handle, the only one to call this, was asked again.
    pub(crate) fn polled(&self) {
        self.polls.store(self.polls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        // Each step leaves the board whole, so a panic elsewhere spoils nothing.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch in flight: its partitions in the order of the request.
struct Asked {
    address: Arc<str>,
    partitions: Vec<AskedPartition>,
    claim: Claim,
}

#[derive(Clone, Copy)]
struct AskedPartition {
    topic: TopicId,
    track: usize,
    generation: u64,
    from: Offset,
}

/// What came back from something that took time.
enum Event {
    Fetched { asked: Asked, answer: Result<FetchResponse, CallError> },
    Refreshed(Result<(), CallError>),
    Resolved { track: usize, generation: u64, outcome: Result<Offset, ConsumeError> },
}

/// One broker as the fetcher sees it.
struct Broker {
    in_flight: usize,
    backoff: Backoff,
    retry_at: Option<Instant>,
    /// With which track the next request begins: an answer may not hold them all, and is filled in their order.
    next_track: usize,
}

/// A partition to ask a broker for.
struct Wanted {
    track: usize,
    generation: u64,
    topic: TopicId,
    partition: PartitionIndex,
    leader_epoch: LeaderEpoch,
    last_epoch: LeaderEpoch,
    offset: Offset,
    /// Follows an answer that is still arriving.
    is_ahead: bool,
}

pub(crate) struct Fetcher {
    router: Arc<Router>,
    options: Arc<ConsumerOptions>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    brokers: HashMap<Arc<str>, Broker>,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    budget: Budget,
    refresh: Refresh,
    seen_version: u64,
    wake_at: Instant,
    last_trouble: CallError,
}

/// Fetches in flight at one broker: one long poll, and room for partitions that start anew meanwhile.
const FETCHES_MAX: usize = 8;

/// The longest sleep, when nothing is to be done.
const IDLE: Duration = Duration::from_mins(1);

/// The least that is asked for, whatever the bound: smaller answers cost more than they bring.
const FETCH_BYTES_MIN: usize = 64 * 1024;

/// How long *no such topic* is not believed: a broker that is starting may not know it yet.
const MISSING_GRACE: Duration = Duration::from_secs(5);

impl Fetcher {
    pub(crate) fn new(
        router: Arc<Router>,
        options: Arc<ConsumerOptions>,
        shared: Arc<Shared>,
        stop: CancellationToken,
    ) -> Self {
        let begun = now();
        Self {
            budget: Budget::new(options.prefetch_bytes_max),
            refresh: router.refreshing_from(begun),
            router,
            options,
            shared,
            stop,
            brokers: HashMap::new(),
            events: FuturesUnordered::new(),
            seen_version: 0,
            wake_at: begun,
            last_trouble: CallError::NoLeader,
        }
    }

    /// Runs until the consumer is gone.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        let stop = self.stop.clone();
        loop {
            self.work();
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.wake.notified() => {}
                Some(event) = self.events.next(), if !self.events.is_empty() => self.handle(event),
                () = sleep_until(self.wake_at) => {}
            }
        }
    }

    fn work(&mut self) {
        let now = now();
        self.wake_at = now + IDLE;
        let image = self.router.image();
        if image.version != self.seen_version {
            self.seen_version = image.version;
            self.compare(&image, now);
        }
        self.fetch(&image, now);
        self.refresh(&image, now);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Fetched { asked, answer } => self.answered(&asked, answer),
            Event::Refreshed(outcome) => {
                self.refresh.answered(&outcome, now(), fastrand::f64());
                if let Err(error) = outcome {
                    self.last_trouble = error;
                }
            }
            Event::Resolved { track, generation, outcome } => {
                self.resolved(track, generation, outcome);
            }
        }
    }

    /// What new metadata means: partitions that were added, topics that are gone.
    fn compare(&mut self, image: &Image, now: Instant) {
        let mut board = self.shared.board();
        for assigned in &self.options.assigned {
            let Some(topic) = image.topics.get(&assigned.topic) else {
                continue;
            };
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            for partition in (0..count).map(PartitionIndex::new) {
                let known = board.find(topic.name.as_str(), partition).is_some();
                // What ends at the ends that it found at its start does not grow.
                if assigned.partition.is_none() && !known && !self.options.stop_at_end {
                    let origin = Some(StartAt::Earliest);
                    let track = Track::new(&topic.name, topic.id, partition, Offset::ZERO, origin);
                    board.tracks.push(track);
                }
            }
        }
        let mut gone = Vec::new();
        for (index, track) in board.tracks.iter_mut().enumerate() {
            let missing = image.missing.contains(&track.topic);
            let replaced = image.topics.get(&track.topic).is_some_and(|topic| topic.id != track.id);
            if !missing {
                track.missing_since = None;
            } else if track.missing_since.is_none() {
                track.missing_since = Some(now);
            }
            let overdue = track.missing_since.is_some_and(|since| now >= since + MISSING_GRACE);
            // In a group the coordinator takes it away.
            let is_shared = self.options.group.subscription.is_some();
            if (replaced || overdue)
                && !is_shared
                && track.activity == super::position::Activity::Reading
            {
                let error = ConsumeError::TopicDeleted {
                    topic: track.topic.to_string(),
                    partition: track.partition,
                    offset: track.fetch_from,
                };
                gone.push((index, error));
            }
        }
        for (index, error) in gone {
            board.fail(index, error, true);
        }
    }

    /// Asks every leader for what is wanted of it, as far as memory allows.
    fn fetch(&mut self, image: &Image, now: Instant) {
        let by_broker = self.wanted(image, now);
        let buffered = self.shared.board().buffered_bytes();
        let (free, free_ahead) = (self.budget.free(buffered), self.budget.free_ahead(buffered));
        if free == 0 {
            return;
        }
        let brokers = by_broker.len().max(1);
        for (address, wanted) in by_broker {
            let is_ahead = wanted.iter().any(|one| one.is_ahead);
            let share = if is_ahead { free_ahead } else { free } / brokers;
            self.fetch_from(&address, wanted, share, now);
        }
    }

    /// The partitions that want to be fetched, by the address of their leader.
    fn wanted(&mut self, image: &Image, now: Instant) -> BTreeMap<Arc<str>, Vec<Wanted>> {
        let mut by_broker: BTreeMap<Arc<str>, Vec<Wanted>> = BTreeMap::new();
        let mut board = self.shared.board();
        let mut unreachable = Vec::new();
        let goes_ahead =
            self.budget.goes_ahead(board.buffered_bytes(), self.options.fetch_bytes_max);
        for (index, track) in board.tracks.iter_mut().enumerate() {
            let ahead = track.place_ahead().filter(|_| goes_ahead);
            if !track.is_hungry() && ahead.is_none() {
                continue;
            }
            let (offset, last_epoch) = ahead.unwrap_or((track.fetch_from, track.last_epoch));
            if let Some(since) = track.failing_since
                && now >= since + self.router.options().api_timeout
            {
                track.failing_since = Some(now);
                unreachable.push((index, now - since));
            }
            if let Some(retry_at) = track.retry_at.filter(|at| *at > now) {
                self.wake_at = self.wake_at.min(retry_at);
                continue;
            }
            let topic = image.topics.get(&track.topic);
            let leadership = topic.and_then(|topic| topic.leadership(track.partition));
            let address = leadership.and_then(|one| image.address(one.leader));
            let (Some(leadership), Some(address)) = (leadership, address) else {
                track.failing_since.get_or_insert(now);
                self.refresh.want();
                continue;
            };
            by_broker.entry(address.clone()).or_default().push(Wanted {
                track: index,
                generation: track.generation,
                topic: track.id,
                partition: track.partition,
                leader_epoch: leadership.epoch,
                last_epoch,
                offset,
                is_ahead: ahead.is_some(),
            });
        }
        for (index, waited) in unreachable {
            let Some(track) = board.tracks.get(index) else {
                continue;
            };
            let error = ConsumeError::Unreachable {
                operation: format!("read partition {} of topic {}", track.partition, track.topic),
                waited_ms: u64::from(millis(waited)),
                last: self.last_trouble.clone(),
            };
            board.fail(index, error, false);
        }
        by_broker
    }

    fn fetch_from(
        &mut self,
        address: &Arc<str>,
        mut wanted: Vec<Wanted>,
        share: usize,
        now: Instant,
    ) {
        let backoff = self.router.backoff();
        let broker = self.brokers.entry(address.clone()).or_insert_with(|| Broker {
            in_flight: 0,
            backoff,
            retry_at: None,
            next_track: 0,
        });
        if let Some(retry_at) = broker.retry_at.filter(|at| *at > now) {
            self.wake_at = self.wake_at.min(retry_at);
            return;
        }
        if broker.in_flight >= FETCHES_MAX {
            return;
        }
        broker.in_flight += 1;
        let first = wanted.partition_point(|one| one.track < broker.next_track);
        wanted.rotate_left(first);
        {
            let mut board = self.shared.board();
            for one in &wanted {
                if let Some(track) = board.tracks.get_mut(one.track) {
                    track.asked_for(one.offset);
                }
            }
        }
        let partitions = wanted.iter().map(|one| AskedPartition {
            topic: one.topic,
            track: one.track,
            generation: one.generation,
            from: one.offset,
        });
        let partitions: Vec<_> = partitions.collect();
        let is_ahead = wanted.iter().any(|one| one.is_ahead);
        let request = self.request(wanted, share);
        let bytes_max = self.options.partition_bytes_max.saturating_mul(partitions.len());
        let bytes_max = bytes_max.min(usize::try_from(request.bytes_max).unwrap_or(usize::MAX));
        let lookout = Lookout::new(Arc::downgrade(&self.shared), partitions.clone());
        let claim = self.budget.claim(bytes_max, is_ahead);
        let asked = Asked { address: address.clone(), partitions, claim };
        let router = self.router.clone();
        let timeout = self.options.fetch_wait_max + router.options().request_timeout;
        self.events.push(Box::pin(async move {
            let pool = router.pool();
            let lookout: Option<Box<dyn Watcher>> = Some(Box::new(lookout));
            let call = pool.call_watched(&asked.address, Lane::Fetch, &request, timeout, lookout);
            let answer = call.await;
            Event::Fetched { asked, answer }
        }));
    }

    fn request(&self, wanted: Vec<Wanted>, share: usize) -> FetchRequest {
        let on_wire = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let bytes_max = self.options.fetch_bytes_max.min(share.max(FETCH_BYTES_MIN));
        let partition_bytes_max = self.options.partition_bytes_max.min(bytes_max);
        let mut topics: Vec<FetchTopic> = Vec::new();
        for one in wanted {
            let partition = FetchPartition {
                partition: one.partition,
                leader_epoch: one.leader_epoch,
                last_epoch: one.last_epoch,
                offset: one.offset,
                bytes_max: on_wire(partition_bytes_max),
            };
            match topics.last_mut() {
                Some(last) if last.topic == one.topic => last.partitions.push(partition),
                _ => topics.push(FetchTopic { topic: one.topic, partitions: vec![partition] }),
            }
        }
        FetchRequest {
            wait_ms_max: millis(self.options.fetch_wait_max),
            bytes_min: on_wire(self.options.fetch_bytes_min),
            bytes_max: on_wire(bytes_max),
            topics,
        }
    }

    /// Asks for metadata when something is not known or what is known is old.
    fn refresh(&mut self, image: &Image, now: Instant) {
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

    /// Finds anew where a partition is to be read.
    fn seek_anew(&self, index: usize, start: StartAt) {
        let mut board = self.shared.board();
        let Some(track) = board.tracks.get_mut(index) else {
            return;
        };
        track.under_way = Some(track.generation);
        let (topic, partition, generation) =
            (track.topic.clone(), track.partition, track.generation);
        let router = self.router.clone();
        self.events.push(Box::pin(async move {
            let outcome = resolve(&router, &topic, partition, start).await;
            Event::Resolved { track: index, generation, outcome }
        }));
    }

    fn resolved(&self, index: usize, generation: u64, outcome: Result<Offset, ConsumeError>) {
        let mut board = self.shared.board();
        let Some(track) = board.tracks.get_mut(index) else {
            return;
        };
        if track.generation != generation {
            return;
        }
        track.under_way = None;
        match outcome {
            Ok(offset) => board.move_to(index, offset),
            Err(error @ ConsumeError::Unreachable { .. }) => board.fail(index, error, false),
            Err(error) => board.fail(index, error, true),
        }
    }
}

#[cfg(test)]
mod tests;
