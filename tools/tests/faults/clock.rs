//! The wall clock jumps an hour forward and back under a running broker: no order changes, nothing is deleted early,
//! nothing waits for the hour to pass, and a timestamp that seems to come from the future is refused by name.

use crate::shim::Shim;
use crate::support::{Broker, say};
use crate::traffic::{
    Ledger, client, create, holds, patient, publish, publish_many, read, runtime,
};

const TOPIC: &str = "timed";

/// Takes timestamps of two hours ahead: after a jump back, those of the clients are one hour ahead.
const LENIENT: &[(&str, &str)] = &[
    ("segment.bytes", "65536"),
    ("max.message.bytes", "8192"),
    ("retention.ms", "9000000"),
    ("message.timestamp.after.max.ms", "7200000"),
];

const STRICT: &str = "strict";

const HOUR: i64 = 3_600;

#[test]
fn jumps_of_an_hour_change_no_order_and_delete_nothing() {
    let (temp, shim, runtime) = (tempfile::tempdir().unwrap(), Shim::build(), runtime());
    let variables = shim.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = ["storage.retention_check_interval_ms=50ms"];
    let mut broker = Broker::start_set(&temp.path().join("data"), &settings, &variables);
    let mut ledger = Ledger::new();
    let client = client(&broker);
    runtime.block_on(create(&client, TOPIC, 1, LENIENT));
    runtime.block_on(create(&client, STRICT, 1, &[]));
    for offset in [0, HOUR, 0, -HOUR - 60, 0, HOUR, -HOUR - 60] {
        let readings = shim.clock_readings();
        shim.shift_clock(offset);
        runtime.block_on(publish_many(&client, TOPIC, 0, 100, 1_000, &mut ledger));
        assert!(shim.clock_readings() > readings, "vacuous: nobody asked the clock");
        // Long enough for retention to have looked more than once.
        let before = broker.metrics().sum("thalweg_syncs_total", "");
        runtime.block_on(publish_many(&client, TOPIC, 0, 100, 1_000, &mut ledger));
        broker.metrics_until("it syncs on", |now| now.sum("thalweg_syncs_total", "") > before);
        let strict = runtime.block_on(async {
            let producer = patient(&client).await;
            publish(&producer, STRICT, 0, b"now", &mut Ledger::new()).await
        });
        match strict {
            Ok(()) => assert!(offset >= -HOUR, "a timestamp of an hour ahead was taken"),
            Err(error) => {
                assert!(offset < -HOUR, "{error}");
                let text = format!("{error:?} {error}");
                assert!(text.contains("InvalidTimestamp") || text.contains("timestamp"), "{text}");
            }
        }
    }
    let found = runtime.block_on(read(&client, TOPIC, false));
    assert_eq!(found, ledger, "what was acknowledged and what is there differ");
    let metrics = broker.metrics();
    assert!(metrics.sum("thalweg_removed_segments_total", "") < 1.0, "segments were deleted early");
    assert_eq!(broker.get("/readyz").0, 200);
    holds(&found, &ledger);
    assert_eq!(broker.stop(), 0);
    say(&format!(
        "FAULTS clock: 6 jumps of an hour, {} records in order, none deleted early; the clock was asked {} times",
        ledger.len(),
        shim.clock_readings()
    ));
}
