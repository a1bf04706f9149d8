//! What can happen to a sender, one step at a time, and how all becomes well in the end.

use futures_util::FutureExt;
use thalweg_protocol::ErrorCode;
use thalweg_protocol::native::Acks;
use tokio::task::unconstrained;
use tokio::time::advance;

use super::brokers::{BROKERS, Brokers, PARTITIONS, address};
use super::world::World;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// In the end, so many answers and sleeps resolve everything.
const ROUNDS_MAX: usize = 2000;

fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

fn options(random: &mut fastrand::Rng) -> ProducerOptions {
    ProducerOptions {
        linger: pick(random, &[None, None, Some(Duration::ZERO), Some(30 * MS), Some(3000 * MS)]),
        acks: pick(random, &[Acks::All, Acks::All, Acks::Leader, Acks::None]),
        batch_bytes: 1024,
        in_flight_max: random.usize(1..=5),
        memory_bytes_max: pick(random, &[16 << 10, 64 << 10, 1 << 20]),
        delivery_timeout: pick(random, &[10_000_000 * MS, 3000 * MS]),
        ..ProducerOptions::default()
    }
}

impl World {
    pub(super) fn random(seed: u64) -> Self {
        // The pauses of the sender itself, and the way of the partitioner.
        fastrand::seed(seed);
        let mut brokers = Brokers::new(seed);
        brokers.is_faulty = true;
        brokers.requests_max = pick(&mut brokers.random, &[1, 4, 32]);
        brokers.bytes_max = pick(&mut brokers.random, &[2000, 1 << 20]);
        let options = options(&mut brokers.random);
        brokers.journal.note("options", format_args!("{options:?}"));
        Self::new(options, brokers)
    }

    /// Something happens, and says whether the sender was told. It works if it was, if it hears of something that came, or
    /// if it is to wake.
    pub(super) async fn step(&mut self) {
        let told = match self.brokers.random.u8(..33) {
            0..=9 => self.append_any(),
            10..=16 => self.answer_any(),
            17..=21 => self.let_time_pass().await,
            22 => self.flush(),
            23 => self.move_leader(),
            24 | 25 => self.answer_refresh(),
            26 => self.end_connection(),
            27 => self.answer_connect(),
            28 => self.want_memory(),
            29 => self.answer_identify(),
            30 => return self.expire(),
            31 => self.replace_topic(),
            _ => self.lose_topic(),
        };
        if self.hear() || told || now() >= self.sender.wake_at {
            self.work_without_scan();
        } else {
            // Nobody told it anything: then nothing is due earlier than it knows.
            self.check();
        }
    }

    fn append_any(&mut self) -> bool {
        let random = &mut self.brokers.random;
        let partition = (random.u8(..4) > 0).then(|| random.usize(..PARTITIONS));
        let bytes = random.usize(8..700);
        self.append(partition, bytes);
        false
    }

    fn answer_any(&mut self) -> bool {
        if !self.brokers.asked.is_empty() {
            let at = self.brokers.random.usize(..self.brokers.asked.len());
            self.brokers.answer(at);
        }
        false
    }

    /// Never beyond the moment at which the sender wants to wake.
    async fn let_time_pass(&mut self) -> bool {
        let micros =
            pick(&mut self.brokers.random, &[300, 1000, 2000, 10_000, 40_000, 600_000, 6_000_000]);
        let left = self.sender.wake_at.saturating_duration_since(now());
        let passes = left.min(Duration::from_micros(micros));
        self.brokers.journal.note("time passed", format_args!("{passes:?}"));
        advance(passes).await;
        false
    }

    fn flush(&mut self) -> bool {
        let (reply, _) = oneshot::channel();
        self.sender.obey(Command::Flush(reply));
        self.brokers.journal.note("flushed", "");
        true
    }

    /// To another broker, to one that the client does not know, or to none; nobody tells the client.
    fn move_leader(&mut self) -> bool {
        let partition = self.brokers.random.usize(..PARTITIONS);
        let leader = pick(&mut self.brokers.random, &[-1, 9, 1, 1, 2, 2, 3, 3]);
        self.brokers.lead(partition, leader);
        self.brokers.journal.note("leader moved", format_args!("{leader} leads {partition}"));
        false
    }

    fn answer_refresh(&mut self) -> bool {
        if !self.sender.refresh.is_asked() {
            return false;
        }
        if self.brokers.random.u8(..6) == 0 {
            self.sender.refreshed(Err(CallError::NoLeader));
            self.refresh_failed = true;
            self.brokers.journal.note("refresh failed", "");
        } else {
            self.refresh();
            let leaders = self.brokers.leaders;
            self.brokers.journal.note("metadata refreshed", format_args!("{leaders:?}"));
        }
        true
    }

    fn end_connection(&mut self) -> bool {
        let broker = self.brokers.random.i32(1..=BROKERS);
        self.brokers.disconnect(broker)
    }

    fn answer_connect(&mut self) -> bool {
        let from = self.brokers.random.i32(0..BROKERS);
        let mut brokers = (0..BROKERS).map(|number| 1 + (from + number) % BROKERS);
        let Some(broker) = brokers.find(|broker| !self.brokers.is_connected(*broker)) else {
            return false;
        };
        let waits = self.sender.brokers.get(&address(broker)).is_some_and(|one| one.connecting);
        if waits && self.brokers.random.u8(..4) == 0 {
            let (address, reason) = (address(broker), "refused by the test".to_owned());
            let error = CallError::Connect { address: address.to_string(), reason };
            self.sender.connected(&address, Some(error));
            assert!(!self.sender.brokers[&address].connecting, "that attempt is over");
            self.brokers.journal.note("connection refused", broker);
            return true;
        }
        self.brokers.journal.note("connected", broker);
        self.connect(broker)
    }

    /// Somebody begins to wait for memory, or stops.
    fn want_memory(&mut self) -> bool {
        if self.waiting.take().is_none() {
            let accumulator = self.sender.accumulator.clone();
            let deadline = now() + IDLE * 1000;
            let mut waiting: BoxFuture<'static, ()> = Box::pin(async move {
                let (memory, wake) = (&accumulator.memory, &accumulator.wake);
                memory.wait_for(deadline, || wake.notify_one(), || None::<()>).await;
            });
            assert!(unconstrained(&mut waiting).now_or_never().is_none());
            self.waiting = Some(waiting);
            self.brokers.journal.note("memory wanted", "");
        }
        false
    }

    fn answer_identify(&mut self) -> bool {
        if !self.sender.identity.is_asked() {
            return false;
        }
        let operation = "get a producer id".to_owned();
        let failure = match self.brokers.random.u8(..10) {
            0 => {
                let (attempts, waited_ms, last) = (1, 1, CallError::NoLeader);
                AdminError::Unreachable { operation, attempts, waited_ms, last }
            }
            1 => {
                let (code, message) = (ErrorCode::UnknownProducer, "another cluster".to_owned());
                AdminError::Refused { operation, code, message }
            }
            _ => {
                self.brokers.journal.note("identified", "");
                self.identify();
                return true;
            }
        };
        self.brokers.journal.note("no identity", &failure);
        self.sender.identified(Err(failure));
        true
    }

    /// The scan has its moment.
    fn expire(&mut self) {
        self.sender.next_expiry = now();
        self.hear();
        self.work();
        self.check();
        self.brokers.journal.note("expired", "");
        if self.brokers.is_missing && self.sender.accumulator.known().is_empty() {
            self.brokers.journal.note("topic forgotten", "");
        }
    }

    /// Sometimes; whoever appends hears of it first.
    fn replace_topic(&mut self) -> bool {
        if self.brokers.random.u8(..10) == 0 {
            self.brokers.topic += 1;
            self.learn();
            self.brokers.journal.note("topic replaced", "");
        }
        false
    }

    /// Those who are asked do not know the topic, sometimes until it is forgotten; then it comes back with all that is in it.
    fn lose_topic(&mut self) -> bool {
        if self.brokers.is_missing {
            self.brokers.is_missing = false;
            self.brokers.journal.note("topic back", "");
        } else if self.brokers.random.u8(..4) == 0 {
            self.brokers.is_missing = true;
            self.brokers.journal.note("topic missing", "");
        }
        false
    }

    /// Every partition has a leader that is there, and nothing is lost any more.
    pub(super) fn mend(&mut self) {
        self.waiting = None;
        (self.brokers.is_faulty, self.brokers.is_missing) = (false, false);
        let brokers = (1..=BROKERS).cycle();
        (0..PARTITIONS).zip(brokers).for_each(|(partition, broker)| {
            self.brokers.lead(partition, broker);
        });
        for broker in 1..=BROKERS {
            if !self.brokers.is_connected(broker) {
                self.connect(broker);
            }
        }
    }

    /// Answers all that is asked, until every record has its outcome.
    pub(super) async fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.sender.refresh.is_asked() {
                self.refresh();
            }
            if self.sender.identity.is_asked() {
                self.identify();
            }
            self.work_without_scan();
            let is_quiet = self.brokers.asked.is_empty();
            while !self.brokers.asked.is_empty() {
                self.brokers.answer(0);
            }
            self.hear();
            self.read_receipts();
            if is_quiet {
                if self.receipts.is_empty() {
                    return;
                }
                let left = self.sender.wake_at.saturating_duration_since(now());
                advance(left.min(5000 * MS)).await;
            }
        }
        panic!("{} records have no outcome", self.receipts.len());
    }
}
