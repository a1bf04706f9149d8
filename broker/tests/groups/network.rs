//! Messages on their way: delayed, doubled, lost.

use fastrand::Rng;

/// What is on its way, each with the time at which it arrives.
#[derive(Debug)]
pub struct Network<T> {
    under_way: Vec<(u64, u64, T)>,
    sent: u64,
    pub lost: u64,
    pub doubled: u64,
}

impl<T> Default for Network<T> {
    fn default() -> Self {
        Self { under_way: Vec::new(), sent: 0, lost: 0, doubled: 0 }
    }
}

impl<T: Clone> Network<T> {
    /// Sends a message; in bad weather it may be lost, come late, or come again much later.
    pub fn send(&mut self, now: u64, message: T, rng: &mut Rng, bad: bool) {
        if bad && rng.u32(..100) < 4 {
            self.lost += 1;
            return;
        }
        if bad && rng.u32(..100) < 6 {
            self.doubled += 1;
            let late = now + rng.u64(0..8_000);
            self.put(late, message.clone());
        }
        let slow = bad && rng.u32(..100) < 10;
        let delay = if slow { rng.u64(0..3_000) } else { rng.u64(0..60) };
        self.put(now + delay, message);
    }

    /// Sends a message that arrives at this time, whatever the weather.
    pub fn put(&mut self, arrives: u64, message: T) {
        self.sent += 1;
        self.under_way.push((arrives, self.sent, message));
    }

    /// What has arrived by now, in the order of arrival.
    pub fn arrived(&mut self, now: u64) -> Vec<T> {
        self.under_way.sort_by_key(|(arrives, sent, _)| (*arrives, *sent));
        let count = self.under_way.partition_point(|(arrives, ..)| *arrives <= now);
        self.under_way.drain(..count).map(|(_, _, message)| message).collect()
    }
}
