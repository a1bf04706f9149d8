//! A sync that waits while the test says so.

use std::sync::{Condvar, Mutex};

/// Closed, it holds the flusher in the middle of its sync.
#[derive(Default)]
pub struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// To be called in each sync.
    pub fn pass(&self) {
        // Other threads sync checkpoints, which no test here is about.
        if std::thread::current().name() == Some("flusher") {
            let closed = self.is_closed.lock().unwrap();
            drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
        }
    }

    pub fn set(&self, is_closed: bool) {
        *self.is_closed.lock().unwrap() = is_closed;
        self.opened.notify_all();
    }
}
