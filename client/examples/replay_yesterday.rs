//! Reads again what was written yesterday (UTC), or between two times in milliseconds since 1970.
//!
//! It names no group, so nobody's committed offsets move.
//!
//! `cargo run -p thalweg-client --example replay_yesterday -- 127.0.0.1:9092 events`

use std::io::Write;
use std::time::SystemTime;

use thalweg_client::{Client, StartAt, TimestampMs};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or("127.0.0.1:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    let midnight = midnight()?;
    let from = arguments.next().map_or(Ok(midnight - DAY_MS), |time| time.parse())?;
    let until = arguments.next().map_or(Ok(midnight), |time| time.parse())?;

    let client = Client::builder().bootstrap(broker).client_name("replay").build()?;
    // The broker finds where yesterday begins in each partition; nothing before is read.
    let start = StartAt::Time(TimestampMs::new(from));
    let mut consumer = client.consumer().topic(&topic, start).stop_at_end().build().await?;

    let mut out = std::io::stdout();
    while let Some(record) = consumer.next().await {
        let record = record?;
        // Producers' clocks may go back, so a later record can be an older one: all up to the end are looked at.
        if !(from..until).contains(&record.timestamp.get()) {
            continue;
        }
        let value = record.value.unwrap_or_default();
        let value = String::from_utf8_lossy(&value);
        writeln!(out, "{}/{} {value}", record.partition, record.offset)?;
    }
    Ok(())
}

/// When today began, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a program of its own has no clock but the system's")]
fn midnight() -> Result<i64, Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())? / DAY_MS * DAY_MS)
}
