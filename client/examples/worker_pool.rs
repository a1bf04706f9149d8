//! A worker of a pool: start it as often as you like, and all of them share the topic's records.
//!
//! Each record is worked on at least once: it is committed after the work, so a worker that dies in between leaves it
//! to another. Ctrl-C lets go of the partitions at once.
//!
//! `cargo run -p thalweg-client --example worker_pool -- 127.0.0.1:9092 events pool`

use std::io::Write;

use thalweg_client::{Client, CommitError, ConsumedRecord};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or("127.0.0.1:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    let group = arguments.next().unwrap_or("pool".to_owned());

    let mut interrupts = signal(SignalKind::interrupt())?;
    let client = Client::builder().bootstrap(broker).client_name("worker-pool").build()?;
    let consumer = client.consumer().group(group).subscribe([&topic]).manual_commit();
    let mut consumer = consumer.build().await?;
    loop {
        let record = tokio::select! {
            _ = interrupts.recv() => break,
            record = consumer.next() => record,
        };
        let Some(record) = record.transpose()? else { break };
        work_on(&record)?;
        // One commit for each record is dear; the default, every 5 s, keeps the same promise.
        match consumer.commit_records([&record]).await {
            // The work took too long or the network failed: another worker does it again.
            Err(error @ CommitError::NotMember { .. }) => eprintln!("{error}"),
            committed => committed?,
        }
    }
    consumer.close().await?;
    Ok(())
}

/// What your service does; doing it twice must do no harm.
fn work_on(record: &ConsumedRecord) -> std::io::Result<()> {
    let value = record.value.as_deref().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    writeln!(std::io::stdout(), "{}/{} {value}", record.partition, record.offset)
}
