//! The rules one by one, and a model: random answers of a broker that keeps its own account.

use super::*;

/// A batch: its name, and the sequence that it was given last.
type Name = u32;

struct Line {
    lineup: Lineup<Name>,
    effects: Vec<Effect<Name>>,
}

const IDENTITY: Identity = Identity { producer: ProducerId::new(7), epoch: ProducerEpoch::new(0) };

const AGAIN: Verdict = Verdict::Again { uncertain: false };
const UNCERTAIN: Verdict = Verdict::Again { uncertain: true };
const REFUSED: Verdict = Verdict::Refused { fenced: false };

impl Line {
    /// With batches 0 to `count - 1`, ten records each, in flight.
    fn with(count: Name) -> Self {
        let mut lineup = Lineup::new(true, 5);
        assert!(!lineup.can_admit(), "nothing is numbered without an identity");
        lineup.identify(IDENTITY);
        for name in 0..count {
            let ticket = lineup.admit(10, |_, first| {
                assert_eq!(first.get(), i32::try_from(name).unwrap() * 10);
                name
            });
            assert_eq!(ticket, u64::from(name));
        }
        Self { lineup, effects: Vec::new() }
    }

    fn answered(&mut self, ticket: Ticket, verdict: Verdict) -> Vec<Effect<Name>> {
        self.lineup.answered(ticket, verdict, &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    /// Sends again what may be, and answers with its tickets.
    fn resend(&mut self) -> Vec<Ticket> {
        let mut sent = Vec::new();
        while let Some(ticket) = self.lineup.next_resend() {
            self.lineup.resent(ticket);
            sent.push(ticket);
        }
        sent
    }
}

fn failed(batch: Name, maybe_stored: bool) -> Effect<Name> {
    Effect::Failed { batch, maybe_stored }
}

#[test]
fn at_most_five_are_sent_and_room_comes_with_the_first_not_with_a_later_one() {
    let mut line = Line::with(5);
    assert!(!line.lineup.can_admit());
    assert_eq!(line.answered(3, Verdict::Stored), [Effect::Stored(3)]);
    assert!(!line.lineup.can_admit(), "the broker remembers five, counted from the first");
    assert_eq!(line.answered(0, Verdict::Stored), [Effect::Stored(0)]);
    assert!(line.lineup.can_admit());
}

#[test]
fn after_an_error_all_is_sent_again_in_order_the_first_alone() {
    let mut line = Line::with(4);
    assert_eq!(line.answered(1, AGAIN), []);
    assert_eq!(line.answered(2, Verdict::OutOfSequence), []);
    assert_eq!(line.resend(), [], "0 and 3 are still in flight");
    assert!(!line.lineup.can_admit());
    assert_eq!(line.answered(0, Verdict::Stored), [Effect::Stored(0)]);
    assert_eq!(line.resend(), [], "3 is still in flight");
    assert_eq!(line.answered(3, Verdict::OutOfSequence), []);
    assert_eq!(line.resend(), [1]);
    assert_eq!(line.answered(1, Verdict::Stored), [Effect::Stored(1)]);
    assert_eq!(line.resend(), [2, 3]);
    assert!(line.lineup.can_admit(), "all is in flight again");
}

#[test]
fn what_is_refused_for_good_leaves_and_the_rest_is_numbered_anew() {
    let mut line = Line::with(3);
    assert_eq!(line.answered(0, REFUSED), [failed(0, false)]);
    assert_eq!(line.answered(1, Verdict::OutOfSequence), []);
    assert_eq!(line.resend(), []);
    let requeued = [Effect::Requeue(1), Effect::Requeue(2)];
    assert_eq!(line.answered(2, UNCERTAIN), requeued, "2 cannot be stored without 0");
    assert!(line.lineup.needs_identity(), "no number is used twice in an epoch");
    line.lineup.identify(IDENTITY);
    line.lineup.admit(10, |_, first| {
        assert_eq!(first, Sequence::FIRST);
        1
    });
}

#[test]
fn what_comes_before_a_refused_batch_is_stored_first() {
    let mut line = Line::with(3);
    assert_eq!(line.answered(0, AGAIN), []);
    assert_eq!(line.answered(1, REFUSED), [failed(1, false)]);
    assert_eq!(line.answered(2, Verdict::OutOfSequence), []);
    assert_eq!(line.resend(), [0]);
    let effects = line.answered(0, Verdict::Stored);
    assert_eq!(effects, [Effect::Stored(0), Effect::Requeue(2)]);
}

#[test]
fn behind_a_batch_that_may_be_stored_what_is_uncertain_is_lost_and_the_rest_goes_back() {
    let mut line = Line::with(3);
    assert_eq!(line.answered(0, UNCERTAIN), []);
    assert_eq!(line.answered(1, UNCERTAIN), []);
    assert_eq!(line.answered(2, Verdict::OutOfSequence), []);
    let mut effects = Vec::new();
    line.lineup.expire(|name| *name == 0, |_| panic!("nothing is in flight"), &mut effects);
    assert_eq!(effects, [failed(0, true), Effect::Lost(1), Effect::Requeue(2)]);
    assert!(line.lineup.needs_identity());
}

#[test]
fn what_is_stored_behind_a_gap_shows_that_there_was_no_gap() {
    let mut line = Line::with(2);
    line.lineup.expire(|name| *name == 0, |name| assert_eq!(*name, 0), &mut line.effects);
    assert_eq!(line.effects, [], "told, but its answer is still awaited");
    assert_eq!(line.answered(0, UNCERTAIN), [failed(0, true)]);
    assert_eq!(line.answered(1, Verdict::Stored), [Effect::Stored(1)]);
    assert!(line.lineup.is_empty() && !line.lineup.needs_identity());
}

#[test]
fn a_broker_that_forgot_the_producer_gets_all_again_under_a_new_epoch() {
    let mut line = Line::with(2);
    assert_eq!(line.answered(0, Verdict::Unknown), []);
    assert_eq!(line.resend(), [], "not under the old numbers");
    let requeued = [Effect::Requeue(0), Effect::Requeue(1)];
    assert_eq!(line.answered(1, Verdict::Unknown), requeued);
    assert!(line.lineup.needs_identity());
}

#[test]
fn a_sequence_that_does_not_fit_is_told_and_never_sent_again() {
    for uncertain in [false, true] {
        let mut line = Line::with(1);
        line.answered(0, Verdict::Again { uncertain });
        assert_eq!(line.resend(), [0]);
        let broken = Effect::Broken { batch: 0, maybe_stored: uncertain };
        assert_eq!(line.answered(0, Verdict::OutOfSequence), [broken]);
        assert!(line.lineup.needs_identity());
    }
}

#[test]
fn without_idempotence_nothing_is_numbered_and_a_refused_batch_leaves_no_gap() {
    let mut lineup = Lineup::new(false, 5);
    for name in 0..3 {
        lineup.admit(10, |identity, first| {
            assert_eq!((identity, first), (Identity::NONE, Sequence::NONE));
            name
        });
    }
    let mut effects = Vec::new();
    lineup.answered(1, REFUSED, &mut effects);
    lineup.answered(0, Verdict::Stored, &mut effects);
    lineup.answered(2, Verdict::Stored, &mut effects);
    assert_eq!(effects, [failed(1, false), Effect::Stored(0), Effect::Stored(2)]);
    assert!(lineup.can_admit());
}

/// What a broker knows: the epoch, the next sequence, and which batch it stored where.
#[derive(Default)]
struct Account {
    epoch: i16,
    next: i32,
    stored: Vec<Name>,
    by_number: std::collections::BTreeMap<(i16, i32), Name>,
}

impl Account {
    fn append(&mut self, epoch: i16, first: i32, batch: Name) -> Verdict {
        if let Some(known) = self.by_number.get(&(epoch, first)) {
            assert_eq!(*known, batch, "a number stands for one batch only");
            return Verdict::Stored;
        }
        if epoch < self.epoch {
            return Verdict::Refused { fenced: true };
        }
        let expected = if epoch > self.epoch { 0 } else { self.next };
        if first != expected {
            return Verdict::OutOfSequence;
        }
        (self.epoch, self.next) = (epoch, first + 10);
        self.stored.push(batch);
        self.by_number.insert((epoch, first), batch);
        Verdict::Stored
    }
}

/// A batch with the number that it has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbered {
    name: Name,
    epoch: i16,
    first: i32,
}

struct Model {
    random: fastrand::Rng,
    lineup: Lineup<Numbered>,
    epoch: i16,
    broker: Account,
    queue: VecDeque<Numbered>,
    /// Copies whose attempt is over for the client, but which may still arrive.
    lingering: Vec<Numbered>,
    in_flight: Vec<Ticket>,
    told_stored: Vec<Name>,
    told_absent: Vec<Name>,
}

impl Model {
    fn step(&mut self, next_name: &mut Name) {
        if self.lineup.needs_identity() {
            self.epoch += 1;
            let epoch = ProducerEpoch::new(self.epoch);
            self.lineup.identify(Identity { epoch, ..IDENTITY });
        }
        match self.random.u8(0..10) {
            0..4 => self.send(next_name),
            4..8 => self.answer(),
            8 => {
                if !self.lingering.is_empty() {
                    let at = self.random.usize(0..self.lingering.len());
                    let copy = self.lingering.remove(at);
                    self.broker.append(copy.epoch, copy.first, copy.name);
                }
            }
            _ => {
                if self.random.u8(0..4) == 0 {
                    let limit = self.random.u32(0..=*next_name).saturating_sub(4);
                    let mut effects = Vec::new();
                    self.lineup.expire(|one| one.name < limit, |_| {}, &mut effects);
                    self.act(effects);
                }
            }
        }
    }

    fn send(&mut self, next_name: &mut Name) {
        if let Some(ticket) = self.lineup.next_resend() {
            self.lineup.resent(ticket).unwrap();
            self.in_flight.push(ticket);
        } else if self.lineup.can_admit() {
            let name = self.queue.pop_front().map_or_else(
                || {
                    *next_name += 1;
                    *next_name
                },
                |queued| queued.name,
            );
            let ticket = self.lineup.admit(10, |identity, first| Numbered {
                name,
                epoch: identity.epoch.get(),
                first: first.get(),
            });
            self.in_flight.push(ticket);
        }
    }

    /// The broker begins requests in the order in which they were sent; answers come in any order.
    fn answer(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let ticket = self.in_flight.remove(0);
        let Some(batch) = self.lineup.get_mut(ticket).copied() else {
            // Given up meanwhile: its answer changes nothing more.
            let mut effects = Vec::new();
            self.lineup.answered(ticket, UNCERTAIN, &mut effects);
            return self.act(effects);
        };
        let verdict = match self.random.u8(0..20) {
            0 => AGAIN,
            1 => REFUSED,
            2 => {
                self.lingering.push(batch);
                UNCERTAIN
            }
            3 | 4 => {
                self.broker.append(batch.epoch, batch.first, batch.name);
                UNCERTAIN
            }
            _ => self.broker.append(batch.epoch, batch.first, batch.name),
        };
        // Whoever is behind in the same connection is judged after this one: their turn comes.
        let mut effects = Vec::new();
        self.lineup.answered(ticket, verdict, &mut effects);
        self.act(effects);
    }

    fn act(&mut self, effects: Vec<Effect<Numbered>>) {
        let mut requeued = Vec::new();
        for effect in effects {
            match effect {
                Effect::Stored(batch) => self.told_stored.push(batch.name),
                Effect::Failed { batch, maybe_stored } | Effect::Broken { batch, maybe_stored } => {
                    if !maybe_stored {
                        self.told_absent.push(batch.name);
                    }
                }
                Effect::Lost(_) => {}
                Effect::Requeue(batch) => requeued.push(batch),
            }
        }
        for batch in requeued.into_iter().rev() {
            self.queue.push_front(batch);
        }
    }
}

#[test]
fn whatever_is_answered_each_batch_is_stored_once_in_order_and_told_truly() {
    for seed in 0..5_000 {
        let mut lineup = Lineup::new(true, 5);
        lineup.identify(IDENTITY);
        let mut model = Model {
            random: fastrand::Rng::with_seed(seed),
            lineup,
            epoch: 0,
            broker: Account::default(),
            queue: VecDeque::new(),
            lingering: Vec::new(),
            in_flight: Vec::new(),
            told_stored: Vec::new(),
            told_absent: Vec::new(),
        };
        let mut names = 0;
        for _ in 0..200 {
            model.step(&mut names);
        }
        let stored = &model.broker.stored;
        assert!(stored.is_sorted_by(|a, b| a < b), "seed {seed}: {stored:?}");
        for name in &model.told_stored {
            assert!(stored.contains(name), "seed {seed}: {name} was told as stored: {stored:?}");
        }
        for name in &model.told_absent {
            assert!(!stored.contains(name), "seed {seed}: {name} was told as absent: {stored:?}");
        }
    }
}
