//! The thread that looks after the logs from time to time: free space, checkpoints, retention, ticks.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::table::Table;
use crate::base::{Clock, Monotonic, Tasks};

/// How often space is looked at and followers are held against their lag.
const TICK: Duration = Duration::from_millis(500);

/// How often each thing is done.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceOptions {
    /// Recovery points and high watermarks are written down.
    pub checkpoint_interval: Duration,
    /// Segments are held against the topics' retention.
    pub retention_interval: Duration,
}

/// The maintenance thread; ends with [`Maintenance::stop`].
#[derive(Debug)]
pub struct Maintenance {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread; `tasks` hears of its panic.
    pub fn start(
        options: MaintenanceOptions,
        table: Arc<Table>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let rounds = Rounds {
            options,
            table,
            clock,
            last_checkpoint: Monotonic::ZERO,
            last_retention: Monotonic::ZERO,
        };
        let run = move || rounds.run(&stopped);
        let thread = tasks.spawn_thread("maintenance", run)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread.
    pub fn stop(mut self) {
        // Nobody listens after a panic, which was counted and logged.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Rounds {
    options: MaintenanceOptions,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    last_checkpoint: Monotonic,
    last_retention: Monotonic,
}

impl Rounds {
    fn run(mut self, stopped: &Receiver<()>) {
        let wait = TICK.min(self.options.checkpoint_interval).min(self.options.retention_interval);
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            self.round();
        }
    }

    fn round(&mut self) {
        let now = self.clock.now();
        for directory in self.table.directories() {
            directory.dir().check_space();
        }
        for partition in self.table.online() {
            partition.tick(now);
        }
        if now.since(self.last_checkpoint) >= self.options.checkpoint_interval {
            self.last_checkpoint = now;
            for directory in self.table.directories() {
                directory.checkpoint(&self.table);
            }
        }
        if now.since(self.last_retention) >= self.options.retention_interval {
            self.last_retention = now;
            self.retain();
        }
    }

    /// Rolls old segments and deletes what is past its retention.
    fn retain(&self) {
        let now = self.clock.wall();
        for partition in self.table.online() {
            match partition.clean(now) {
                Ok(0) => {}
                Ok(segments) => tracing::info!(%partition, segments, "old segments deleted"),
                Err(error) => tracing::warn!(%partition, %error, "retention failed; trying again"),
            }
        }
        for directory in self.table.directories() {
            directory.note_appends(&self.table);
        }
    }
}
