//! Syncs that wait while the test says so.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use thalweg_storage::fs::sim::SimDisk;

/// Nobody waits longer at the gate, or for somebody to come to it. A test that waits for what the gate must not hold up has
/// given up before.
const PATIENCE: Duration = Duration::from_mins(1);

/// Closed, it holds a thread in the middle of its syncs. Open at first, and again when it is dropped: a test that fails
/// leaves nobody behind.
pub struct Gate(Arc<Place>);

#[derive(Default)]
struct Place {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// How many have come to the gate while it was closed, and how many of these were let on.
    came: usize,
    passed: usize,
}

#[allow(dead_code, reason = "each test binary uses its own part")]
impl Gate {
    /// Stands in the way of what the thread of this name syncs; other threads sync checkpoints, for example.
    pub fn before(thread: &'static str, disk: &SimDisk) -> Self {
        let place = Arc::new(Place::default());
        let gate = Self(Arc::clone(&place));
        disk.during_sync(move || {
            if std::thread::current().name() == Some(thread) {
                place.pass();
            }
        });
        gate
    }

    pub fn close(&self) {
        self.0.state().is_closed = true;
    }

    pub fn open(&self) {
        let mut state = self.0.state();
        state.is_closed = false;
        state.passed = state.came;
        self.0.changed.notify_all();
    }

    /// Waits until a sync is held here.
    pub fn holds_one(&self) {
        let is_free = |state: &State| state.came == state.passed;
        let came = !is_free(&self.0.wait_while(self.0.state(), is_free));
        assert!(came, "no sync has begun within {PATIENCE:?}");
    }

    /// Lets the sync that is held end. The next one is held again.
    pub fn let_one_end(&self) {
        self.0.state().passed += 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Place {
    fn pass(&self) {
        let mut state = self.state();
        if state.is_closed {
            state.came += 1;
            let number = state.came;
            self.changed.notify_all();
            drop(self.wait_while(state, |state| state.passed < number));
        }
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        waits: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_timeout_while(state, PATIENCE, |state| waits(state)).unwrap().0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
