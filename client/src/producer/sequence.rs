//! The order of one partition's batches from their first sending to their end. Pure.
//!
//! Owns the sequences of one partition, which batches are in flight, and what an answer means for the
//! batches behind the one it is about. Never reads a clock, never sends.
//!
//! ```text
//!     stored | 40..49   50..79   80..89 | 90..
//!              ^ front            ^ sent, unanswered: at most five
//!              stored next                ^ next sequence
//! ```
//!
//! Rules, with `k` the batch that is in trouble:
//! - *May be tried again*: `k` waits; nothing new goes out until all that is in flight has been answered; then
//!   what waits is sent again in the order of sequences, the first alone until it is stored.
//! - *Out of sequence* for a batch behind an unanswered one is the echo of that one's trouble: it waits too.
//! - *Given up* (refused for good, or its deadline passed): `k` stays in line as a gap until all before it is
//!   stored and nothing is in flight. If `k` is certainly not stored, nothing behind it is: all goes back to be
//!   numbered anew. If `k` may be stored, then so may be what was sent behind it: what has no certain outcome
//!   ends as *outcome unknown*, the rest goes back. Numbers begin anew under a new epoch, which fences copies
//!   that are still under way; a number is never used twice in an epoch, so that nothing new can be taken for
//!   a duplicate.
//!
//! Invariants: from the first in line to the newest batch there are at most `in_flight_max`, so that the broker
//! remembers each that may be sent again; a batch whose outcome is uncertain never gets another number.

use std::collections::VecDeque;

use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence};

/// Which producer the broker sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

impl Identity {
    /// Of a producer that is not idempotent.
    pub(crate) const NONE: Self = Self { producer: ProducerId::NONE, epoch: ProducerEpoch::NONE };
}

/// What the answer about one batch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The broker has it.
    Stored,
    /// It can be sent again; `uncertain` when the broker may have it nevertheless.
    Again { uncertain: bool },
    /// It does not follow what the broker has of this producer.
    OutOfSequence,
    /// The broker has nothing of this producer.
    Unknown,
    /// Refused for good; `fenced` when a new epoch is needed before anything else can be stored.
    Refused { fenced: bool },
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect<T> {
    /// It is stored.
    Stored(T),
    /// It is given up, because of the verdict that was just told.
    Failed { batch: T, maybe_stored: bool },
    /// It is given up, because one before it was and nobody knows what is stored.
    Lost(T),
    /// Its sequence does not fit what the broker has.
    Broken { batch: T, maybe_stored: bool },
    /// It is certainly not stored and goes back to the front of the queue; such effects come in order.
    Requeue(T),
}

/// Names a batch in line; rises.
pub(crate) type Ticket = u64;

#[derive(Debug, PartialEq, Eq)]
enum State {
    InFlight,
    Waiting,
}

#[derive(Debug)]
struct Place<T> {
    ticket: Ticket,
    state: State,
    /// Whether any attempt had no certain outcome.
    uncertain: bool,
    /// None once the batch is given up: the place is a gap.
    batch: Option<T>,
    /// Its deadline passed while it was in flight.
    late: bool,
    /// A gap after which only a new epoch helps.
    fenced: bool,
}

/// The line of one partition.
#[derive(Debug)]
pub(crate) struct Lineup<T> {
    line: VecDeque<Place<T>>,
    identity: Option<Identity>,
    idempotent: bool,
    next: Sequence,
    next_ticket: Ticket,
    in_flight_max: usize,
    /// After trouble, until the first in line is stored.
    recovering: bool,
}

impl<T> Lineup<T> {
    pub(crate) fn new(idempotent: bool, in_flight_max: usize) -> Self {
        Self {
            line: VecDeque::new(),
            identity: (!idempotent).then_some(Identity::NONE),
            idempotent,
            next: Sequence::FIRST,
            next_ticket: 0,
            in_flight_max,
            recovering: false,
        }
    }

    /// Whether it waits for a producer id or a new epoch.
    pub(crate) const fn needs_identity(&self) -> bool {
        self.identity.is_none()
    }

    /// Numbers batches from 0 under this identity.
    pub(crate) fn identify(&mut self, identity: Identity) {
        assert!(self.line.is_empty(), "an identity changes between batches only");
        self.identity = Some(identity);
        self.next = Sequence::FIRST;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Whether a new batch may be sent now.
    pub(crate) fn can_admit(&self) -> bool {
        self.identity.is_some()
            && !self.recovering
            && self.is_within_memory()
            && self.line.iter().all(|place| place.state == State::InFlight && place.batch.is_some())
    }

    /// Whether the broker will still remember the first in line after one more batch. Answers come in any
    /// order, so it is not enough to count what is unanswered.
    fn is_within_memory(&self) -> bool {
        let in_flight_max = u64::try_from(self.in_flight_max).unwrap_or(u64::MAX);
        let first = self.line.front();
        first.is_none_or(|first| self.next_ticket - first.ticket < in_flight_max)
    }

    /// Numbers a batch of `records` and puts it in flight. `make` finishes it with its numbers.
    pub(crate) fn admit(
        &mut self,
        records: i32,
        make: impl FnOnce(Identity, Sequence) -> T,
    ) -> Ticket {
        assert!(self.can_admit(), "a batch is sent when there is room for it");
        let identity = self.identity.unwrap_or(Identity::NONE);
        let first = if self.idempotent { self.next } else { Sequence::NONE };
        self.next = self.next.plus(records);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back(Place {
            ticket,
            state: State::InFlight,
            uncertain: false,
            batch: Some(make(identity, first)),
            late: false,
            fenced: false,
        });
        ticket
    }

    /// The batch to send again now, if any; [`Self::resent`] puts it in flight.
    pub(crate) fn next_resend(&self) -> Option<Ticket> {
        let in_flight = self.in_flight();
        let waiting = |place: &&Place<T>| place.state == State::Waiting || place.batch.is_none();
        let first = self.line.iter().find(waiting)?;
        // Behind a gap nothing is sent, and after trouble the first goes alone.
        if first.batch.is_none() || first.fenced || (self.recovering && in_flight > 0) {
            return None;
        }
        Some(first.ticket)
    }

    /// Puts a waiting batch in flight and hands it out.
    pub(crate) fn resent(&mut self, ticket: Ticket) -> Option<&mut T> {
        let place = self.line.iter_mut().find(|place| place.ticket == ticket)?;
        place.state = State::InFlight;
        place.batch.as_mut()
    }

    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        let place = self.line.iter_mut().find(|place| place.ticket == ticket)?;
        place.batch.as_mut()
    }

    /// All batches in line, in order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &T> {
        self.line.iter().filter_map(|place| place.batch.as_ref())
    }

    fn in_flight(&self) -> usize {
        let in_flight = |place: &&Place<T>| place.state == State::InFlight;
        self.line.iter().filter(in_flight).count()
    }

    /// Hears the answer about a batch in flight.
    pub(crate) fn answered(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        effects: &mut Vec<Effect<T>>,
    ) {
        let found = self.line.iter().position(|place| place.ticket == ticket);
        let Some(index) = found else {
            return;
        };
        match verdict {
            Verdict::Stored => self.stored(index, effects),
            Verdict::Again { uncertain } => self.wait(index, uncertain, effects),
            Verdict::OutOfSequence | Verdict::Unknown if index > 0 => {
                self.wait(index, false, effects);
            }
            Verdict::Unknown if self.line.front().is_some_and(|place| !place.uncertain) => {
                self.begin_anew(effects);
            }
            Verdict::OutOfSequence | Verdict::Unknown => self.break_off(index, effects),
            Verdict::Refused { fenced } => self.give_up(index, fenced, effects),
        }
        self.settle(effects);
        debug_assert!(self.line.len() <= self.in_flight_max, "the line is bounded");
    }

    fn stored(&mut self, index: usize, effects: &mut Vec<Effect<T>>) {
        if let Some(place) = self.line.remove(index)
            && let Some(batch) = place.batch
        {
            effects.push(Effect::Stored(batch));
        }
        // What is stored follows what is stored: gaps before it were no gaps.
        let mut position = 0;
        self.line.retain(|place| {
            let filled = position < index && place.batch.is_none();
            position += 1;
            !filled
        });
        if self.in_flight() == 0 {
            self.recovering = false;
        }
    }

    fn wait(&mut self, index: usize, uncertain: bool, effects: &mut Vec<Effect<T>>) {
        self.recovering = true;
        let mut late = false;
        if let Some(place) = self.line.get_mut(index) {
            place.state = State::Waiting;
            place.uncertain |= uncertain;
            late = place.late;
        }
        if late {
            self.give_up(index, false, effects);
        }
    }

    /// The broker has forgotten the producer and has none of what is in line.
    fn begin_anew(&mut self, effects: &mut Vec<Effect<T>>) {
        self.wait(0, false, effects);
        if let Some(place) = self.line.front_mut() {
            place.fenced = true;
        }
    }

    fn break_off(&mut self, index: usize, effects: &mut Vec<Effect<T>>) {
        let Some(place) = self.line.get_mut(index) else {
            return;
        };
        place.state = State::Waiting;
        place.fenced = true;
        if let Some(batch) = place.batch.take() {
            let maybe_stored = place.uncertain;
            effects.push(Effect::Broken { batch, maybe_stored });
        }
    }

    fn give_up(&mut self, index: usize, fenced: bool, effects: &mut Vec<Effect<T>>) {
        let Some(place) = self.line.get_mut(index) else {
            return;
        };
        place.state = State::Waiting;
        place.fenced |= fenced;
        let maybe_stored = place.uncertain;
        if let Some(batch) = place.batch.take() {
            effects.push(Effect::Failed { batch, maybe_stored });
        }
        if !self.idempotent {
            // Nothing behind it depends on its number.
            self.line.remove(index);
        }
    }

    /// Gives up what `expired` says is past its deadline. A batch in flight keeps its place until it is
    /// answered; `tell` hears of it.
    pub(crate) fn expire(
        &mut self,
        expired: impl Fn(&T) -> bool,
        mut tell: impl FnMut(&T),
        effects: &mut Vec<Effect<T>>,
    ) {
        let mut index = 0;
        while let Some(place) = self.line.get_mut(index) {
            if let Some(batch) = place.batch.as_ref().filter(|batch| expired(batch)) {
                if place.state == State::InFlight {
                    if !place.late {
                        tell(batch);
                    }
                    place.late = true;
                } else {
                    let before = self.line.len();
                    self.give_up(index, false, effects);
                    if self.line.len() < before {
                        continue;
                    }
                }
            }
            index += 1;
        }
        self.settle(effects);
    }

    /// Closes the gap at the front, once nothing is in flight.
    fn settle(&mut self, effects: &mut Vec<Effect<T>>) {
        let Some(front) = self.line.front() else {
            self.recovering = false;
            return;
        };
        let is_gap = front.batch.is_none() || front.fenced;
        if !is_gap || self.in_flight() > 0 {
            return;
        }
        let maybe_stored = front.uncertain;
        for place in std::mem::take(&mut self.line) {
            let Some(batch) = place.batch else {
                continue;
            };
            if maybe_stored && place.uncertain {
                effects.push(Effect::Lost(batch));
            } else {
                effects.push(Effect::Requeue(batch));
            }
        }
        self.recovering = false;
        self.identity = None;
    }
}

#[cfg(test)]
mod tests;
