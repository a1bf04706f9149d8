//! What goes out now: batches that are due, gathered into requests by leader.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::native::{Acks, ProducePartition, ProduceRequest, ProduceTopic};
use thalweg_protocol::{LeaderEpoch, TopicId};

use super::super::batch::Batch;
use super::super::queue::Ready;
use super::super::sequence::Ticket;
use super::{Event, Line, Sender, Sent};
use crate::clock::{Instant, now};
use crate::connection::Connection;
use crate::error::CallError;
use crate::pool::Lane;

/// How long a batch that is not full waits behind others, when no linger was set.
const NATURAL_LINGER: Duration = Duration::from_millis(5);

/// Requests in flight to one broker: more would wait in its queue.
const REQUESTS_MAX: usize = 32;

/// Bytes of records in one request, unless one batch is larger.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Room for what stands around the records in a frame, in bytes.
const FRAME_OVERHEAD_BYTES: usize = 64 * 1024;

/// What a partition has for its leader now.
enum Look {
    Goes(Chosen),
    /// Its open batch may grow until then.
    Lingers(Instant),
    /// It is looked at again when something happens to it.
    Waits,
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
        self.bring(now);
        let addresses: Vec<_> = self.brokers.keys().cloned().collect();
        for address in addresses {
            self.dispatch_to(&address, now);
        }
        if let Some((retry_at, _)) = self.paused.first() {
            self.wake_at = self.wake_at.min(*retry_at);
        }
    }

    fn dispatch_to(&mut self, address: &Arc<str>, now: Instant) {
        let Some(broker) = self.brokers.get_mut(address) else {
            return;
        };
        if broker.ready.is_empty() && broker.lingering.is_empty() {
            return;
        }
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
        let requests_max = requests_max(&connection);
        let wanted = self.accumulator.memory.is_wanted();
        if let Some(at) = broker.paced(requests_max).filter(|at| *at > now && !wanted) {
            self.wake_at = self.wake_at.min(at);
            return;
        }
        // Nothing in flight: whoever has something may go at once.
        let mut quiet = broker.requests_in_flight == 0;
        let has_waited = quiet || wanted;
        broker.rouse(if has_waited { None } else { Some(now) });
        loop {
            let round = self.choose(address, &connection, requests_max, quiet, now);
            if round.is_empty() {
                break;
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
        let lingering = self.brokers.get(address).and_then(|broker| broker.lingering.first());
        if let Some((due_at, _)) = lingering {
            self.wake_at = self.wake_at.min(*due_at);
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
        requests_max: usize,
        quiet: bool,
        now: Instant,
    ) -> Vec<Chosen> {
        let mut round = Vec::new();
        let bytes_max =
            usize::try_from(connection.hello().bytes_in_flight_max).unwrap_or(usize::MAX).max(1);
        let Some(broker) = self.brokers.get_mut(address) else {
            return round;
        };
        let mut bytes = broker.bytes_in_flight;
        if broker.requests_in_flight >= requests_max {
            return round;
        }
        let mut ready = std::mem::take(&mut broker.ready);
        let mut lingering = std::mem::take(&mut broker.lingering);
        let mut served = broker.served;
        let served_at = served;
        let mut look_at = |index: &usize| {
            if bytes >= bytes_max {
                return true;
            }
            match self.look(*index, quiet, now) {
                Look::Goes(chosen) => {
                    bytes += chosen.bytes.len();
                    round.push(chosen);
                    if bytes >= bytes_max {
                        served = *index + 1;
                    }
                    true
                }
                Look::Lingers(due_at) => {
                    let line = self.lines.get_mut(index);
                    if let Some(old) = line.and_then(|line| line.lingers_until.replace(due_at)) {
                        lingering.remove(&(old, *index));
                    }
                    lingering.insert((due_at, *index));
                    false
                }
                Look::Waits => false,
            }
        };
        let mut behind = ready.split_off(&served_at);
        behind.retain(&mut look_at);
        ready.retain(&mut look_at);
        ready.append(&mut behind);
        if let Some(broker) = self.brokers.get_mut(address) {
            broker.ready = ready;
            broker.served = served;
            broker.lingering = lingering;
        }
        round
    }

    /// What the partition sends now: a batch again, or the next one, if it is due.
    fn look(&mut self, index: usize, quiet: bool, now: Instant) -> Look {
        let linger = self.options.linger;
        let wanted = self.accumulator.memory.is_wanted();
        let counters = &self.accumulator.counters;
        let Some(line) = self.lines.get_mut(&index) else {
            return Look::Waits;
        };
        if let Some(retry_at) = line.retry_at.filter(|at| *at > now) {
            self.paused.insert((retry_at, index));
            return Look::Waits;
        }
        line.retry_at = None;
        let Some((topic, epoch)) = line.leader else {
            return Look::Waits;
        };
        let goes = |batch: Option<(Ticket, Bytes)>| match batch {
            Some((ticket, bytes)) => {
                Look::Goes(Chosen { line: index, topic, epoch, ticket, bytes })
            }
            None => Look::Waits,
        };
        if let Some(ticket) = line.lineup.next_resend() {
            counters.retried();
            return goes(line.resend(ticket));
        }
        if line.requeued.is_empty() {
            match line.queue.ready() {
                Ready::Nothing => return Look::Waits,
                Ready::Full => {}
                Ready::Open(since) => {
                    let due_at = match linger {
                        _ if wanted => since,
                        None if quiet => since,
                        None => since + NATURAL_LINGER,
                        Some(linger) => since + linger,
                    };
                    if due_at > now {
                        return Look::Lingers(due_at);
                    }
                }
            }
        }
        if line.lineup.needs_identity() && !self.identity.give(line) {
            return Look::Waits;
        }
        if !line.lineup.can_admit() {
            return Look::Waits;
        }
        if !line.requeued.is_empty() {
            counters.retried();
        }
        goes(line.admit(&self.accumulator))
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
        let begun = now();
        let sent = Sent {
            address: address.clone(),
            begun,
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
            broker.last_request = Some(begun);
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
        self.refresh.want();
        let now = now();
        if let Some(broker) = self.brokers.get_mut(address) {
            // Requests that fail together count once.
            if broker.retry_at.is_none_or(|at| at <= now) {
                broker.retry_at = Some(now + broker.backoff.next(fastrand::f64()));
            }
        }
    }
}

/// How many requests may be in flight over the connection; half of what the broker allows is left to others.
fn requests_max(connection: &Connection) -> usize {
    let allowed = usize::try_from(connection.hello().requests_in_flight_max / 2);
    allowed.unwrap_or(usize::MAX).clamp(1, REQUESTS_MAX)
}

impl Line {
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
