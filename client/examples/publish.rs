//! Publishes lines to a topic and prints where each is stored.
//!
//! `cargo run -p thalweg-client --example publish -- 127.0.0.1:9092 events one two three`

use thalweg_client::{Client, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or("127.0.0.1:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());

    let client = Client::builder().bootstrap(broker).client_name("publish").build()?;
    let producer = client.producer().build().await?;

    // All go out in few batches; the receipts are awaited afterwards.
    let mut receipts = Vec::new();
    for line in arguments {
        receipts.push(producer.send(Record::to(&topic).value(&line)).await?);
    }
    for receipt in receipts {
        let delivered = receipt.await?;
        eprintln!("partition {} offset {}", delivered.partition, delivered.offset);
    }
    producer.close().await?;
    Ok(())
}
