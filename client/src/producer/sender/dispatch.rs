//! What goes out now: batches that are due, gathered into requests by leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::native::{Acks, ProducePartition, ProduceRequest, ProduceTopic};
use thalweg_protocol::{LeaderEpoch, TopicId};

use super::super::batch::Batch;
use super::super::queue::Ready;
use super::super::sequence::Ticket;
use super::{Broker, Event, Line, Sender, Sent};
use crate::clock::{Instant, now};
use crate::connection::Connection;
use crate::error::CallError;
use crate::metadata::Image;
use crate::pool::Lane;

/// How long a batch that is not full waits behind others, when no linger was set.
const NATURAL_LINGER: Duration = Duration::from_millis(5);

/// Requests in flight to one broker: more would wait in its queue.
const REQUESTS_MAX: usize = 32;

/// Bytes of records in one request, unless one batch is larger.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Room for what stands around the records in a frame, in bytes.
const FRAME_OVERHEAD_BYTES: usize = 64 * 1024;

/// A partition that has its leader at a broker.
struct Due {
    line: usize,
    topic: TopicId,
    epoch: LeaderEpoch,
}

/// A batch chosen for a request.
struct Chosen {
    line: usize,
    topic: TopicId,
    epoch: LeaderEpoch,
    ticket: Ticket,
    bytes: Bytes,
}

impl Sender {
    /// Sends what is due, to all brokers.
    pub(super) fn dispatch(&mut self, now: Instant) {
        let image = self.router.image();
        let mut by_broker: BTreeMap<Arc<str>, Vec<Due>> = BTreeMap::new();
        let mut idle = Vec::new();
        let mut replaced = Vec::new();
        for index in &self.active {
            let Some(line) = self.lines.get_mut(index) else {
                idle.push(*index);
                continue;
            };
            if line.is_idle() {
                idle.push(*index);
                continue;
            }
            if line.is_replaced(&image) {
                replaced.push(line.queue.clone());
                continue;
            }
            if let Some(retry_at) = line.retry_at.filter(|at| *at > now) {
                self.wake_at = self.wake_at.min(retry_at);
                continue;
            }
            line.retry_at = None;
            match line.leader(&image) {
                Some((address, due)) => by_broker.entry(address).or_default().push(due),
                None => self.refresh.wanted = true,
            }
        }
        for index in idle {
            self.active.remove(&index);
        }
        for queue in replaced {
            self.topic_replaced(&queue.topic, queue.topic_id);
        }
        for (address, lines) in by_broker {
            self.dispatch_to(&address, &lines, now);
        }
    }

    fn dispatch_to(&mut self, address: &Arc<str>, lines: &[Due], now: Instant) {
        let backoff = self.router.backoff();
        let broker = self.brokers.entry(address.clone()).or_insert_with(|| Broker {
            requests_in_flight: 0,
            bytes_in_flight: 0,
            connecting: false,
            backoff,
            retry_at: None,
        });
        if let Some(retry_at) = broker.retry_at.filter(|at| *at > now) {
            self.wake_at = self.wake_at.min(retry_at);
            return;
        }
        let Some(connection) = self.router.pool().live(address, Lane::Produce) else {
            if !broker.connecting {
                broker.connecting = true;
                self.connect(address.clone());
            }
            return;
        };
        // Nothing in flight: whoever has something may go at once.
        let mut quiet = broker.requests_in_flight == 0;
        loop {
            let round = self.choose(address, &connection, lines, quiet, now);
            if round.is_empty() {
                return;
            }
            self.send_round(address, &connection, round);
            quiet = false;
            // The connection ended under our hands, and would refuse the same batches for ever: they wait for the
            // next one.
            let failed = self.brokers.get(address).and_then(|broker| broker.retry_at);
            if let Some(retry_at) = failed.filter(|at| *at > now) {
                self.wake_at = self.wake_at.min(retry_at);
                return;
            }
        }
    }

    fn connect(&self, address: Arc<str>) {
        let router = self.router.clone();
        self.events.push(Box::pin(async move {
            let connected = router.pool().connection(&address, Lane::Produce).await;
            let failure = connected.err();
            Event::Connected { address, failure }
        }));
    }

    pub(super) fn connected(&mut self, address: &Arc<str>, failure: Option<CallError>) {
        if let Some(broker) = self.brokers.get_mut(address) {
            broker.connecting = false;
        }
        if let Some(error) = failure {
            self.broker_failed(address, &error);
        }
    }

    /// One batch of each partition that may send one.
    fn choose(
        &mut self,
        address: &Arc<str>,
        connection: &Connection,
        lines: &[Due],
        quiet: bool,
        now: Instant,
    ) -> Vec<Chosen> {
        let mut round = Vec::new();
        let bytes_max =
            usize::try_from(connection.hello().bytes_in_flight_max).unwrap_or(usize::MAX).max(1);
        let requests_max = usize::try_from(connection.hello().requests_in_flight_max / 2)
            .unwrap_or(usize::MAX)
            .clamp(1, REQUESTS_MAX);
        let Some(broker) = self.brokers.get(address) else {
            return round;
        };
        let mut bytes = broker.bytes_in_flight;
        if broker.requests_in_flight >= requests_max {
            return round;
        }
        for due in lines {
            if bytes >= bytes_max {
                break;
            }
            if let Some((ticket, records)) = self.next_batch(due.line, quiet, now) {
                bytes += records.len();
                round.push(Chosen {
                    line: due.line,
                    topic: due.topic,
                    epoch: due.epoch,
                    ticket,
                    bytes: records,
                });
            }
        }
        round
    }

    /// The batch that the partition sends now: one again, or the next one, if it is due.
    fn next_batch(&mut self, index: usize, quiet: bool, now: Instant) -> Option<(Ticket, Bytes)> {
        let linger = self.options.linger;
        let wanted = self.accumulator.memory.is_wanted();
        let counters = &self.accumulator.counters;
        let line = self.lines.get_mut(&index)?;
        if let Some(ticket) = line.lineup.next_resend() {
            counters.retried();
            return line.resend(ticket);
        }
        if line.requeued.is_empty() {
            match line.queue.ready() {
                Ready::Nothing => return None,
                Ready::Full => {}
                Ready::Open(since) => {
                    let due_at = match linger {
                        _ if wanted => since,
                        None if quiet => since,
                        None => since + NATURAL_LINGER,
                        Some(linger) => since + linger,
                    };
                    if due_at > now {
                        self.wake_at = self.wake_at.min(due_at);
                        return None;
                    }
                }
            }
        }
        if line.lineup.needs_identity() && !self.identity.give(line) {
            return None;
        }
        if !line.lineup.can_admit() {
            return None;
        }
        if !line.requeued.is_empty() {
            counters.retried();
        }
        line.admit(&self.accumulator)
    }

    /// Puts the batches into as few requests as their sizes allow, and sends those.
    fn send_round(&mut self, address: &Arc<str>, connection: &Arc<Connection>, round: Vec<Chosen>) {
        let frame_bytes_max = usize::try_from(connection.hello().frame_bytes_max)
            .unwrap_or(usize::MAX)
            .saturating_sub(FRAME_OVERHEAD_BYTES);
        let bytes_max = REQUEST_BYTES_MAX.min(frame_bytes_max);
        let mut request: Vec<Chosen> = Vec::new();
        let mut bytes = 0;
        for chosen in round {
            if !request.is_empty() && bytes + chosen.bytes.len() > bytes_max {
                self.send(address, connection, std::mem::take(&mut request));
                bytes = 0;
            }
            bytes += chosen.bytes.len();
            request.push(chosen);
        }
        self.send(address, connection, request);
    }

    fn send(&mut self, address: &Arc<str>, connection: &Arc<Connection>, chosen: Vec<Chosen>) {
        let sent = Sent {
            address: address.clone(),
            bytes: chosen.iter().map(|chosen| chosen.bytes.len()).sum(),
            batches: chosen
                .iter()
                .map(|chosen| (chosen.topic, chosen.line, chosen.ticket))
                .collect(),
        };
        let request = self.request(chosen);
        let answered = self.options.acks != Acks::None;
        let timeout = self.router.options().request_timeout;
        if let Some(broker) = self.brokers.get_mut(address) {
            broker.requests_in_flight += 1;
            broker.bytes_in_flight += sent.bytes;
        }
        self.accumulator.counters.sent(sent.batches.len());
        match connection.begin(&request, timeout, answered) {
            Ok(pending) => {
                let connection = connection.clone();
                self.events.push(Box::pin(async move {
                    let answer = if answered {
                        pending.await.map(Some)
                    } else {
                        pending.written().await.map(|()| None)
                    };
                    drop(connection);
                    Event::Answered { request: sent, answer }
                }));
            }
            Err(error) => self.answered(&sent, Err(error)),
        }
    }

    fn request(&self, chosen: Vec<Chosen>) -> ProduceRequest {
        let mut topics: Vec<ProduceTopic> = Vec::new();
        for chosen in chosen {
            let Some(line) = self.lines.get(&chosen.line) else {
                continue;
            };
            let partition = ProducePartition {
                partition: line.queue.partition,
                leader_epoch: chosen.epoch,
                records: chosen.bytes,
            };
            match topics.last_mut() {
                Some(last) if last.topic == chosen.topic => last.partitions.push(partition),
                _ => topics.push(ProduceTopic { topic: chosen.topic, partitions: vec![partition] }),
            }
        }
        ProduceRequest { acks: self.options.acks, topics }
    }

    /// Leaves a broker alone for a moment, and asks who leads now.
    pub(super) fn broker_failed(&mut self, address: &Arc<str>, error: &CallError) {
        self.last_trouble = error.to_string();
        self.refresh.wanted = true;
        let now = now();
        if let Some(broker) = self.brokers.get_mut(address) {
            // Requests that fail together count once.
            if broker.retry_at.is_none_or(|at| at <= now) {
                broker.retry_at = Some(now + broker.backoff.next(fastrand::f64()));
            }
        }
    }
}

impl Line {
    /// Whether there is nothing to send and nothing to wait for.
    fn is_idle(&self) -> bool {
        self.lineup.is_empty() && self.requeued.is_empty() && self.queue.ready() == Ready::Nothing
    }

    /// Whether another topic has its topic's name now.
    fn is_replaced(&self, image: &Image) -> bool {
        let known = image.topics.get(&self.queue.topic);
        known.is_some_and(|topic| topic.id != self.queue.topic_id)
    }

    fn leader(&self, image: &Image) -> Option<(Arc<str>, Due)> {
        let topic = image.topics.get(&self.queue.topic)?;
        let leadership = topic.leadership(self.queue.partition)?;
        let address = image.address(leadership.leader)?.clone();
        let due = Due { line: self.queue.line, topic: topic.id, epoch: leadership.epoch };
        Some((address, due))
    }

    fn resend(&mut self, ticket: Ticket) -> Option<(Ticket, Bytes)> {
        let batch = self.lineup.resent(ticket)?;
        batch.attempts += 1;
        Some((ticket, batch.bytes.clone()))
    }

    /// Numbers the next batch and puts it in line.
    fn admit(&mut self, accumulator: &super::Accumulator) -> Option<(Ticket, Bytes)> {
        let ticket = if let Some(batch) = self.requeued.pop_front() {
            let records = i32::try_from(batch.records).unwrap_or(i32::MAX);
            let make = |identity, first| batch.renumber(identity, first);
            self.lineup.admit(records, make)
        } else {
            let gathered = self.queue.take()?;
            let records = gathered.builder.record_count();
            let make = |identity, first| Batch::finish(gathered, identity, first, accumulator);
            self.lineup.admit(records, make)
        };
        let batch = self.lineup.get_mut(ticket)?;
        batch.attempts += 1;
        Some((ticket, batch.bytes.clone()))
    }
}
