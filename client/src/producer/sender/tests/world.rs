//! A sender, its brokers, and those who append: everything around the sender is played by the test, on a clock that stands
//! still, so that a seed is one history.

use futures_util::FutureExt;
use tokio::task::unconstrained;

use super::super::super::accumulator::Hindrance;
use super::super::super::receipt::Receipt;
use super::brokers::{BROKERS, Brokers, PARTITIONS, address};
use super::*;

/// Longer than any run.
const NEVER: Duration = Duration::from_hours(1000);

/// Turns in a row after which the sender does nothing but turn.
const TURNS_MAX: usize = 20;

pub(super) struct World {
    pub(super) sender: Sender,
    pub(super) brokers: Brokers,
    /// Somebody waits for memory, as long as this is here.
    pub(super) waiting: Option<BoxFuture<'static, ()>>,
    /// Records whose outcome is not told yet.
    pub(super) receipts: Vec<(u64, Receipt)>,
    pub(super) acknowledged: Vec<u64>,
    /// Told as certainly not stored.
    pub(super) absent: Vec<u64>,
    /// No broker answered when metadata was asked for last.
    pub(super) refresh_failed: bool,
    appended: u64,
    epoch: i16,
}

fn events() -> TopicName {
    TopicName::new("events").unwrap()
}

impl World {
    /// Nobody is connected, and no batch has a number; who leads is known.
    pub(super) fn new(options: ProducerOptions, brokers: Brokers) -> Self {
        let router = Arc::new(Router::new(Arc::new(ClientOptions {
            bootstrap: vec![address(1).to_string()],
            metadata_age_max: NEVER,
            api_timeout: NEVER,
            ..ClientOptions::default()
        })));
        for broker in 1..=BROKERS {
            router.pool().hold(&address(broker), Lane::Control);
            router.pool().hold(&address(broker), Lane::Produce);
        }
        router.metadata().want(&events());
        router.metadata().update(&brokers.metadata(), now());
        let accumulator = Arc::new(Accumulator::new(&options));
        let (_, commands) = mpsc::channel(1);
        let (failures, stop) = (Arc::default(), CancellationToken::new());
        let world = Self {
            sender: Sender::new(router, options, accumulator, failures, commands, stop),
            brokers,
            waiting: None,
            receipts: Vec::new(),
            acknowledged: Vec::new(),
            absent: Vec::new(),
            refresh_failed: false,
            appended: 0,
            epoch: -1,
        };
        world.learn();
        world
    }

    /// Whoever appends hears what the brokers say of the topic, if they know it.
    pub(super) fn learn(&self) {
        if !self.brokers.is_missing {
            self.sender.router.metadata().update(&self.brokers.metadata(), now());
            self.sender.accumulator.learn(&events(), self.brokers.topic_id(), PARTITIONS);
        }
    }

    /// The refresh that the sender asked for is answered.
    pub(super) fn refresh(&mut self) {
        self.sender.router.metadata().update(&self.brokers.metadata(), now());
        self.sender.refreshed(Ok(()));
        self.refresh_failed = false;
    }

    /// The sender gets the producer's next epoch.
    pub(super) fn identify(&mut self) {
        self.epoch += 1;
        let (producer, epoch) = (ProducerId::new(7), ProducerEpoch::new(self.epoch));
        self.sender.identified(Ok(InitProducerResponse { producer, epoch }));
    }

    /// A connection to this broker is there, whether or not the sender waits for it; true if it does.
    pub(super) fn connect(&mut self, broker: i32) -> bool {
        let (address, connection) = (address(broker), self.brokers.connect(broker));
        self.sender.router.pool().put(&address, Lane::Produce, connection);
        let waits = self.sender.brokers.get(&address).is_some_and(|broker| broker.connecting);
        if waits {
            self.sender.connected(&address, None);
        }
        waits
    }

    /// Appends the next record, of so many bytes; without a partition where the partitioner wants it.
    pub(super) fn append(&mut self, partition: Option<usize>, bytes: usize) {
        let mut value = vec![7; bytes.max(8)];
        value[..8].copy_from_slice(&self.appended.to_be_bytes());
        let mut record = Record::to("events").value(&value);
        if let Some(partition) = partition {
            record = record.partition(i32::try_from(partition).unwrap());
        }
        let journal = &mut self.brokers.journal;
        match self.sender.accumulator.try_append(&record).unwrap() {
            Ok(receipt) => {
                journal.note("appended", format_args!("{}, {bytes} bytes", self.appended));
                self.receipts.push((self.appended, receipt));
            }
            Err(Hindrance::TopicUnknown) => self.learn(),
            Err(Hindrance::MemoryFull) => journal.note("memory full", ""),
        }
        self.appended += 1;
    }

    /// Lets the sender hear what has come; true if there was something.
    pub(super) fn hear(&mut self) -> bool {
        let mut heard = false;
        while let Some(Some(event)) = unconstrained(self.sender.events.next()).now_or_never() {
            self.sender.handle(event);
            heard = true;
        }
        heard | unconstrained(self.sender.accumulator.wake.notified()).now_or_never().is_some()
    }

    /// The sender works until it wants to sleep.
    pub(super) fn work(&mut self) {
        let mut turns = 0;
        while turns == 0 || self.sender.wake_at <= now() {
            self.sender.work();
            self.brokers.take_requests();
            turns += 1;
            assert!(turns < TURNS_MAX, "it spins");
        }
    }

    /// The same, without the scan for deadlines: it looks at every partition and would hide that one was forgotten.
    pub(super) fn work_without_scan(&mut self) {
        self.sender.take_touched(now());
        self.sender.next_expiry = now() + IDLE;
        self.work();
        self.check();
    }

    /// Those who appended look what became of their records.
    pub(super) fn read_receipts(&mut self) {
        for (record, mut receipt) in std::mem::take(&mut self.receipts) {
            match (&mut receipt).now_or_never() {
                None => self.receipts.push((record, receipt)),
                Some(Ok(_)) => self.acknowledged.push(record),
                Some(Err(
                    SendError::Refused { .. }
                    | SendError::DeadlinePassed { maybe_stored: false, .. },
                )) => self.absent.push(record),
                Some(Err(_)) => {}
            }
        }
    }
}
