//! The thread that looks for damage in closed segments, slowly: what changed on a disk by itself is better found by us
//! than by a reader years later.
//!
//! One pass goes through every partition, throttled to so many bytes a second for all log directories together. What
//! it finds is logged, counted, and told to readers of that range; appends never wait for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use metrics::Gauge;

use super::partition::Partition;
use super::table::Table;
use crate::base::{Clock, Tasks};

/// The most that is read at a time.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;

/// How the scrub goes.
#[derive(Clone, Copy, Debug)]
pub struct ScrubOptions {
    /// Bytes read in a second; 0 for no scrub.
    pub bytes_per_second: u64,
    /// A pass begins so long after the last one began.
    pub interval: Duration,
}

/// The scrubbing thread; ends with [`Scrub::stop`].
#[derive(Debug)]
pub struct Scrub {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Starts the thread, unless scrubbing is off; `last_pass` shows when a pass ended, `tasks` hears of a panic.
    pub fn start(
        options: ScrubOptions,
        table: Arc<Table>,
        clock: Arc<dyn Clock>,
        last_pass: Gauge,
        tasks: &Tasks,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        if options.bytes_per_second == 0 {
            return Ok(Self { stop, thread: None });
        }
        let passes = Passes { options, table, clock, last_pass, stopped };
        let thread = tasks.spawn_thread("scrub", move || passes.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread.
    pub fn stop(mut self) {
        // Nobody listens when it never began, or after a panic, which was counted and logged.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Passes {
    options: ScrubOptions,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    /// When the last pass ended, in seconds since 1970.
    last_pass: Gauge,
    stopped: Receiver<()>,
}

/// The broker stops.
struct Stop;

impl Passes {
    fn run(self) {
        while self.pass().is_ok() {}
    }

    fn pass(&self) -> Result<(), Stop> {
        let began = self.clock.now();
        let mut partitions = self.table.online();
        partitions.sort_unstable_by_key(|partition| partition.at());
        for partition in partitions {
            self.scrub(&partition)?;
        }
        let wall_ms = u64::try_from(self.clock.wall().get()).unwrap_or_default();
        self.last_pass.set(Duration::from_millis(wall_ms));
        let left = self.options.interval.saturating_sub(self.clock.now().since(began));
        self.wait(left)
    }

    fn scrub(&self, partition: &Partition) -> Result<(), Stop> {
        let rate = self.options.bytes_per_second;
        let piece_bytes = (rate / 4).clamp(1, PIECE_BYTES_MAX);
        let mut place = None;
        loop {
            let done = match partition.reader().scrub(place, piece_bytes) {
                Ok(done) => done,
                Err(error) => {
                    tracing::warn!(%partition, %error, "cannot be scrubbed; tried again in the next pass");
                    return Ok(());
                }
            };
            partition.count_scrubbed(&done);
            for range in &done.found {
                let (from, next_good) = (range.from, range.next_good);
                tracing::error!(%partition, %from, %next_good, "damaged on the disk, found by the scrub");
            }
            let next = done.next;
            self.wait(Duration::from_nanos(done.bytes.saturating_mul(1_000_000_000) / rate))?;
            if next.is_none() {
                return Ok(());
            }
            place = next;
        }
    }

    fn wait(&self, patience: Duration) -> Result<(), Stop> {
        match self.stopped.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stop),
        }
    }
}
