//! Stops a broker in order: no more connections, requests under way are answered, logs are synced and closed, and
//! last the mark that says so.

use std::time::Duration;

use super::start::Broker;
use crate::base::share_out;
use crate::partition::Directory;

/// How long dropped tasks get to end; nothing of value waits in them.
const ABANDON: Duration = Duration::from_millis(500);

/// How many logs are closed at the same time: they wait for the disk.
const CLOSERS_MAX: usize = 16;

impl Broker {
    /// Drains and stops. Blocks, at most for the drain deadline and the time that closing the logs takes. False
    /// when the stop was not clean: the next start then recovers.
    pub fn stop(mut self) -> bool {
        self.readiness.not_ready("stop", "the broker is stopping");
        self.stop.cancel();
        let drained = self.drain();
        self.join_threads();
        let closed = self.close_logs();
        for runtime in [self.data.take(), self.control.take()].into_iter().flatten() {
            runtime.shutdown_timeout(ABANDON);
        }
        drained && closed
    }

    /// Waits until every connection has answered what it had begun.
    fn drain(&self) -> bool {
        let Some(control) = &self.control else { return true };
        let ended =
            async { tokio::time::timeout(self.drain_max, self.connections.ended()).await.is_ok() };
        let drained = control.block_on(ended);
        if !drained {
            let left = self.connections.running();
            tracing::warn!(left, drain_max = ?self.drain_max, "connections were still busy; closing them");
        }
        drained
    }

    fn join_threads(&mut self) {
        if let Some(assignment) = self.assignment.take() {
            // Its panic was counted and logged.
            drop(assignment.join());
        }
        if let Some(inflater) = self.inflater.take() {
            inflater.stop();
        }
        if let Some(compactor) = self.compactor.take() {
            compactor.stop();
        }
        if let Some(maintenance) = self.maintenance.take() {
            maintenance.stop();
        }
        if let Some(scrub) = self.scrub.take() {
            scrub.stop();
        }
        self.workers.stop();
    }

    /// Closes every log; each directory whose logs all closed gets the mark of a clean stop.
    fn close_logs(&self) -> bool {
        let mut clean = true;
        for directory in self.table.directories() {
            // Every directory is closed, whatever became of the others.
            clean &= self.close_directory(directory);
        }
        clean
    }

    fn close_directory(&self, directory: &Directory) -> bool {
        let dir = directory.dir();
        directory.note_appends(&self.table);
        let held = self.table.held_by(dir.directory_id());
        let closed = share_out(&held, CLOSERS_MAX, |partition| {
            let closed = partition.close();
            if let Err(error) = &closed {
                tracing::warn!(%partition, %error, "not closed well");
            }
            closed.is_ok()
        });
        directory.checkpoint(&self.table);
        if closed.contains(&false) {
            return false;
        }
        if let Err(error) = dir.close_clean() {
            tracing::warn!(dir = %dir.path().display(), %error, "no clean mark; the next start recovers");
            return false;
        }
        true
    }
}

/// Without [`Broker::stop`] nothing is drained or marked clean: the next start recovers.
impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        self.join_threads();
        // Tasks hold the log directories, which the next start wants: they are waited for where that is allowed.
        let may_wait = tokio::runtime::Handle::try_current().is_err();
        for runtime in [self.data.take(), self.control.take()].into_iter().flatten() {
            if may_wait {
                runtime.shutdown_timeout(ABANDON);
            } else {
                runtime.shutdown_background();
            }
        }
    }
}
