//! While reads wait for a disk that does not answer, the broker goes on with everything else.

use std::sync::{Arc, Condvar, Mutex};

use thalweg_client::StartAt;

use crate::machine::{Machine, TOPIC};

/// More than the broker has workers, and as many as it reads from the disk at a time.
const READERS: usize = 8;

/// Holds reads of the cold disk until it is opened, at the latest when the test ends.
#[derive(Clone, Default)]
struct Gate {
    /// Whether it is open, and how many wait.
    state: Arc<(Mutex<(bool, usize)>, Condvar)>,
}

impl Gate {
    fn pass(&self) {
        let (state, opened) = &*self.state;
        let mut state = state.lock().unwrap();
        state.1 += 1;
        let mut state = opened.wait_while(state, |state| !state.0).unwrap();
        state.1 -= 1;
    }

    fn waiting(&self) -> usize {
        self.state.0.lock().unwrap().1
    }

    fn open(&self) {
        self.state.0.lock().unwrap().0 = true;
        self.state.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// Looking for the batch used to read headers on the worker: two readers of a slow disk stopped the broker.
#[test]
fn reads_that_wait_for_the_disk_hold_up_nobody_else() {
    let mut machine = Machine::start();
    let partitions = i32::try_from(READERS).unwrap();
    machine.create_topic(partitions, &[]);
    for partition in 0..partitions {
        machine.publish(partition, &format!("of partition {partition}"));
    }
    let gate = Gate::default();
    let held = Gate { state: Arc::clone(&gate.state) };
    machine.disk.during_cold_read(move || held.pass());
    machine.disk.set_cold(true);
    let readers: Vec<_> = (0..partitions)
        .map(|partition| {
            let client = machine.client();
            machine.spawn(async move {
                let assigned = [(TOPIC, partition, StartAt::Earliest)];
                let consumer = client.consumer().assign(assigned);
                let mut consumer = consumer.build().await.unwrap();
                consumer.next().await.unwrap().unwrap()
            })
        })
        .collect();
    Machine::until("vacuous: nobody waits for the disk", || gate.waiting() == READERS);

    machine.publish(0, "while others wait");
    assert!(machine.http("/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(gate.waiting(), READERS);

    gate.open();
    for (partition, reader) in readers.into_iter().enumerate() {
        let record = machine.run(reader).unwrap();
        let expected = format!("of partition {partition}");
        assert_eq!(record.value.as_deref(), Some(expected.as_bytes()));
    }
    let cold = machine.metric("thalweg_cold_fetched_bytes_total{topic=\"events\"}").unwrap();
    let sent = machine.metric("thalweg_fetched_bytes_total{topic=\"events\"}").unwrap();
    assert!(cold > 0.0 && cold <= sent, "{cold} of {sent} bytes came from the disk");
    machine.disk.set_cold(false);
    machine.check_acknowledged().unwrap();
}
