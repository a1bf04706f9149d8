//! A thread that looks after the logs and panics is counted, and the broker says that it is not ready any more.

use thalweg_broker::base::Millis;
use thalweg_client::NewTopic;

use crate::machine::{Machine, TOPIC};

const PANICS: &str = "thalweg_task_panics_total";

impl Machine {
    /// The next sync of a file on this thread panics, as a defect of ours would.
    fn panic_on(&self, thread: &'static str) {
        self.disk.during_sync(move || {
            assert!(std::thread::current().name() != Some(thread), "a planned panic");
        });
    }

    fn assert_counted_and_not_ready(&self, thread: &str) {
        Self::until("the panic is not counted", || self.metric(PANICS) == Some(1.0));
        // The reason is told once the panic is counted.
        Self::until("the broker says that it is ready", || {
            let ready = self.http("/readyz");
            let is_told = ready.contains(&format!("{thread} thread")) && ready.contains("planned");
            ready.starts_with("HTTP/1.1 503") && is_told
        });
    }
}

#[test]
fn a_flusher_that_panics_takes_its_directory_offline() {
    let mut machine = Machine::start();
    machine.create_topic(1, &[]);
    machine.publish(0, "before");
    machine.panic_on("flusher");
    // Nobody is left to sync this record: its producer hears of it at once, and not at its own deadline.
    machine.refused(0, "never synced", &["offline"]);
    machine.assert_counted_and_not_ready("flusher");
    assert!(machine.http("/readyz").contains("flusher has panicked"));
    machine.check_acknowledged().unwrap();
}

#[test]
fn a_maintenance_thread_that_panics_is_counted() {
    let mut machine = Machine::start_with(|config| {
        config.storage.checkpoint_interval_ms = Millis::new(10);
    });
    machine.create_topic(1, &[]);
    machine.panic_on("maintenance");
    // Something that a checkpoint has to tell.
    machine.publish(0, "a record");
    machine.assert_counted_and_not_ready("maintenance");
    machine.check_acknowledged().unwrap();
}

#[test]
fn an_assignment_thread_that_panics_is_counted() {
    let machine = Machine::start();
    machine.panic_on("assignment");
    let client = machine.client();
    // Nobody is left to make the partition: the answer is not waited for.
    let creating =
        machine.spawn(async move { client.admin().create_topic(NewTopic::new(TOPIC)).await });
    machine.assert_counted_and_not_ready("assignment");
    creating.abort();
}
