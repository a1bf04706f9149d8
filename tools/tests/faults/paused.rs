//! SIGSTOP and SIGCONT: the broker stands still in the middle of its work and goes on as if nothing had been.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Broker, number, say};
use crate::traffic::{Ledger, client, create, holds, publish, read, runtime};

const TOPIC: &str = "paused";

/// How long it stands still.
const PAUSE: Duration = Duration::from_millis(700);

/// The state of a process, as the system tells it: `T` when it is stopped.
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.chars().next().unwrap()
}

#[test]
fn a_broker_that_was_stopped_goes_on_and_has_lost_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&temp.path().join("data"));
    let runtime = runtime();
    let client = client(&broker);
    runtime.block_on(create(&client, TOPIC, 1, &[]));
    let pauses = 3 * number("N").unwrap_or(1);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let publishing = runtime.spawn({
        let client = client.clone();
        async move {
            let producer = client.producer().linger(Duration::ZERO).build().await.unwrap();
            let mut ledger = Ledger::new();
            while !*stopped.borrow() {
                let value = format!("record {}", ledger.len());
                publish(&producer, TOPIC, 0, value.as_bytes(), &mut ledger).await.unwrap();
            }
            ledger
        }
    });
    let mut seen = 0;
    for _ in 0..pauses {
        let before = broker.records(TOPIC);
        let wanted = f64::from(i32::try_from(before).unwrap() + 5);
        broker.metrics_until("records go in", |now| {
            now.sum("thalweg_produced_records_total", TOPIC) >= wanted
        });
        broker.signal(Signal::STOP);
        std::thread::sleep(PAUSE);
        seen += u64::from(state(broker.pid()) == 'T');
        broker.signal(Signal::CONT);
        assert!(broker.records(TOPIC) >= before);
    }
    stop.send_replace(true);
    let ledger = runtime.block_on(publishing).unwrap();
    let found = runtime.block_on(read(&client, TOPIC, false));
    assert_eq!(found, ledger, "what was acknowledged and what is there differ");
    assert_eq!(seen, pauses, "vacuous: the process was not seen stopped");
    assert!(ledger.len() > 10, "vacuous: {} records", ledger.len());
    holds(&found, &ledger);
    say(&format!("FAULTS paused: {pauses} times {PAUSE:?}, {} records, none lost", ledger.len()));
    assert_eq!(broker.stop(), 0);
}
