//! A clock that a test sets, holds and has panic, on the threads of one runtime at a time.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use thalweg_broker::base::{Clock, ManualClock, Monotonic};
use thalweg_protocol::TimestampMs;

/// What the clock does to who asks it.
#[derive(Debug, Default)]
struct Faults {
    /// Holds who asks for the monotonic time on a control thread.
    holds_control: bool,
    /// Holds who asks for the wall clock's time on a data thread: the writer, before it appends.
    holds_data: bool,
    /// So many who ask for the wall clock's time on a control thread panic.
    panics: usize,
    held: usize,
}

#[derive(Debug)]
pub struct FaultyClock {
    time: ManualClock,
    faults: Mutex<Faults>,
    changed: Condvar,
}

fn is_on(runtime: &str) -> bool {
    std::thread::current().name() == Some(runtime)
}

impl FaultyClock {
    pub fn new() -> Self {
        let time = ManualClock::new(TimestampMs::new(1_700_000_000_000));
        Self { time, faults: Mutex::default(), changed: Condvar::new() }
    }

    pub fn advance(&self, duration: Duration) {
        self.time.advance(duration);
    }

    pub fn hold_control(&self) {
        self.faults.lock().unwrap().holds_control = true;
    }

    pub fn hold_data(&self) {
        self.faults.lock().unwrap().holds_data = true;
    }

    pub fn panic_times(&self, times: usize) {
        self.faults.lock().unwrap().panics = times;
    }

    /// Panics that are still to come.
    pub fn panics_left(&self) -> usize {
        self.faults.lock().unwrap().panics
    }

    pub fn held(&self) -> usize {
        self.faults.lock().unwrap().held
    }

    pub fn let_go(&self) {
        let mut faults = self.faults.lock().unwrap();
        (faults.holds_control, faults.holds_data) = (false, false);
        self.changed.notify_all();
    }

    fn pass(&self, holds: impl Fn(&Faults) -> bool) {
        let mut faults = self.faults.lock().unwrap();
        if holds(&faults) {
            faults.held += 1;
            let mut faults = self.changed.wait_while(faults, |faults| holds(faults)).unwrap();
            faults.held -= 1;
        }
    }

    fn perhaps_panic(&self) {
        let mut faults = self.faults.lock().unwrap();
        if faults.panics > 0 {
            faults.panics -= 1;
            drop(faults);
            panic!("a planned panic");
        }
    }
}

impl Clock for FaultyClock {
    fn now(&self) -> Monotonic {
        if is_on("control") {
            self.pass(|faults| faults.holds_control);
        }
        self.time.now()
    }

    fn wall(&self) -> TimestampMs {
        if is_on("data") {
            self.pass(|faults| faults.holds_data);
        }
        if is_on("control") {
            self.perhaps_panic();
        }
        self.time.wall()
    }
}
