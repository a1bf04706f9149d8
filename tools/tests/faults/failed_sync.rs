//! `fdatasync` fails in the real process: nothing is acknowledged after it, the directory goes offline and says why, what
//! was synced is read on, and only a restart trusts the disk again.

use crate::shim::Shim;
use crate::support::{Broker, say};
use crate::traffic::{
    Ledger, client, create, holds, impatient, patient, publish, publish_many, read, runtime,
};

const TOPIC: &str = "synced";

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_the_reason_is_told() {
    let (temp, shim, runtime) = (tempfile::tempdir().unwrap(), Shim::build(), runtime());
    let data = temp.path().join("data");
    let variables = shim.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut broker = Broker::start_set(&data, &[], &variables);
    let mut ledger = Ledger::new();
    runtime.block_on(async {
        let client = client(&broker);
        create(&client, TOPIC, 1, &[]).await;
        publish_many(&client, TOPIC, 0, 200, 300, &mut ledger).await;
        shim.fail_syncs(true);
        let producer = impatient(&client).await;
        for number in 0..3 {
            let mut after = Ledger::new();
            let sent = publish(&producer, TOPIC, 0, b"after the failure", &mut after).await;
            assert!(sent.is_err(), "record {number} was acknowledged after a failed sync");
        }
    });
    let failed = shim.failed_syncs();
    assert!(failed > 0, "vacuous: no sync has failed");
    // The disk is well again; what it holds is not known all the same.
    shim.fail_syncs(false);
    runtime.block_on(async {
        let client = client(&broker);
        let producer = impatient(&client).await;
        let sent = publish(&producer, TOPIC, 0, b"too early", &mut Ledger::new()).await;
        assert!(sent.is_err(), "a failed sync was forgotten without a restart");
        holds(&read(&client, TOPIC, false).await, &ledger);
    });
    let (status, reasons) = broker.get("/readyz");
    assert_eq!(status, 503);
    assert!(reasons.contains("offline"), "{reasons}");
    broker.log_until("log directory is offline");
    let metrics = broker.metrics();
    assert!(metrics.sum("thalweg_log_directory_state", "offline") >= 1.0);
    assert!(metrics.sum("thalweg_sync_failures_total", "") >= 1.0);

    broker.stop();
    drop(broker);
    let broker = Broker::start_set(&data, &[], &[]);
    runtime.block_on(async {
        let client = client(&broker);
        let producer = patient(&client).await;
        publish(&producer, TOPIC, 0, b"after the restart", &mut ledger).await.unwrap();
        holds(&read(&client, TOPIC, false).await, &ledger);
    });
    let told = reasons.lines().nth(1).unwrap_or_default().trim().to_owned();
    say(&format!(
        "FAULTS failed sync: {failed} failed, none of 4 records acknowledged after it, {} read back; /readyz said {told:?}",
        ledger.len()
    ));
}
