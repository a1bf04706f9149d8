//! Prints what is published to a topic from now on, or with `all` also what is there.
//!
//! `cargo run -p thalweg-client --example subscribe -- 127.0.0.1:9092 events all`

use std::io::Write;

use thalweg_client::{Client, StartAt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or("127.0.0.1:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    let all = arguments.next().is_some_and(|word| word == "all");

    let client = Client::builder().bootstrap(broker).client_name("subscribe").build()?;
    let mut consumer = client.consumer().topic(&topic, StartAt::Latest);
    if all {
        // Reads what is there and ends; without `stop_at_end` it would wait for more.
        consumer = client.consumer().topic(&topic, StartAt::Earliest).stop_at_end();
    }
    let mut consumer = consumer.build().await?;

    let mut out = std::io::stdout();
    while let Some(record) = consumer.next().await {
        let record = record?;
        let value = record.value.unwrap_or_default();
        writeln!(
            out,
            "{}/{} {}",
            record.partition,
            record.offset,
            String::from_utf8_lossy(&value)
        )?;
    }
    Ok(())
}
