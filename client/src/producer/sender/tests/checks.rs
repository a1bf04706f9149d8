//! What holds whenever the sender sleeps, and at the end.
//!
//! When a partition is due is worked out anew here, from the state of all partitions: the sender itself looks only at those to
//! which something happened.

use std::collections::BTreeSet;

use thalweg_protocol::native::Acks;

use super::super::super::queue::Ready;
use super::brokers::{PARTITIONS, index};
use super::world::World;
use super::*;

/// How long an open batch waits behind others when no linger was set.
const NATURAL_LINGER: Duration = Duration::from_millis(5);

impl World {
    /// Nothing that could be sent is left lying, and the sender wakes when the next thing is due.
    pub(super) fn check(&self) {
        let (sender, now, image) = (&self.sender, now(), self.sender.router.image());
        for (number, line) in &sender.lines {
            let known = image.topics.get(&line.queue.topic);
            if line.is_idle() || known.is_some_and(|topic| topic.id != line.queue.topic_id) {
                continue;
            }
            assert!(sender.active.contains(number), "{number} is not active");
            let leader = known.and_then(|topic| topic.leadership(line.queue.partition));
            let address = leader.and_then(|leader| image.address(leader.leader));
            let due = match address {
                Some(address) => self.sends_at(line, address, now),
                None if sender.refresh.is_asked() => None,
                None => Some(sender.refresh.not_before().max(now)),
            };
            let Some(due) = due else {
                continue;
            };
            assert!(
                sender.wake_at <= due,
                "partition {} is due in {:?}, and the sender sleeps for {:?}",
                line.queue.partition,
                due - now,
                sender.wake_at - now
            );
        }
        if self.refresh_failed && !sender.refresh.is_asked() {
            let due = sender.refresh.not_before().max(now);
            assert!(sender.wake_at <= due, "nobody asks again for metadata that did not come");
        }
        self.check_sets();
    }

    /// Nobody is listed twice: the lists are as long as there are partitions, not as there were events.
    fn check_sets(&self) {
        let sender = &self.sender;
        for (address, broker) in &sender.brokers {
            let partitions: BTreeSet<_> = broker.lingering.iter().map(|(_, line)| line).collect();
            let lingering = broker.lingering.len();
            assert_eq!(partitions.len(), lingering, "{address}: {:?}", broker.lingering);
        }
        let ever = PARTITIONS * usize::from(self.brokers.topic);
        assert!(sender.paused.len() <= ever, "{:?}", sender.paused);
    }

    /// When the line sends its next batch to its leader, or asks for what that needs; none if something has to come first.
    fn sends_at(&self, line: &Line, address: &Arc<str>, now: Instant) -> Option<Instant> {
        let broker = self.sender.brokers.get(address).expect("who leads is known to the sender");
        let has = self.has_at(line, broker)?;
        let takes = self.takes_at(broker, address)?;
        Some(has.max(takes).max(line.retry_at.unwrap_or(now)).max(now))
    }

    /// Since when or until when the line waits with its next batch.
    fn has_at(&self, line: &Line, broker: &Broker) -> Option<Instant> {
        let (sender, now) = (&self.sender, now());
        if line.lineup.next_resend().is_some() {
            return Some(now);
        }
        if line.lineup.needs_identity() {
            if !sender.identity.could_give(line) && sender.identity.is_asked() {
                return None;
            }
        } else if !line.lineup.can_admit() {
            return None;
        }
        if !line.requeued.is_empty() {
            return Some(now);
        }
        match line.queue.ready() {
            Ready::Nothing => None,
            Ready::Full => Some(now),
            Ready::Open(_) if sender.accumulator.memory.is_wanted() => Some(now),
            Ready::Open(since) => match sender.options.linger {
                Some(linger) => Some(since + linger),
                None if broker.requests_in_flight == 0 => Some(now),
                None => Some(since + NATURAL_LINGER),
            },
        }
    }

    /// When the broker takes the next request.
    fn takes_at(&self, broker: &Broker, address: &Arc<str>) -> Option<Instant> {
        let now = now();
        let rests = broker.retry_at.unwrap_or(now);
        if self.sender.router.pool().live(address, Lane::Produce).is_none() {
            return (!broker.connecting).then_some(rests);
        }
        let requests_max = usize::try_from(self.brokers.requests_max).unwrap();
        let bytes_max = usize::try_from(self.brokers.bytes_max).unwrap();
        if broker.requests_in_flight >= requests_max || broker.bytes_in_flight >= bytes_max {
            return None;
        }
        let wanted = self.sender.accumulator.memory.is_wanted();
        let paced = broker.paced(requests_max).filter(|_| !wanted);
        Some(rests.max(paced.unwrap_or(now)))
    }

    /// What was acknowledged is stored, in order and once; what was told as not stored is not.
    pub(super) fn check_logs(&self) {
        let acks = self.sender.options.acks;
        if acks == Acks::None {
            return;
        }
        let logs = self.brokers.logs.values();
        let stored: BTreeSet<_> = logs.flat_map(|log| log.records.iter().copied()).collect();
        for record in &self.acknowledged {
            assert!(stored.contains(record), "{record} was acknowledged and is nowhere");
        }
        if acks != Acks::All {
            return;
        }
        for record in &self.absent {
            assert!(!stored.contains(record), "{record} was told as not stored");
        }
        for (place, log) in &self.brokers.logs {
            assert!(log.records.is_sorted_by(|a, b| a < b), "{place:?}: {:?}", log.records);
        }
    }

    /// Nothing is in flight and no memory is held when all is told.
    pub(super) fn check_rest(&self) {
        for line in self.sender.lines.values() {
            assert!(line.is_idle(), "partition {} holds something", index(line.queue.partition));
        }
        assert_eq!(self.sender.accumulator.memory.used(), 0);
    }
}
