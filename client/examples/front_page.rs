//! The program of the crate's front page, but for the broker's address, which can be named.
//!
//! `cargo run -p thalweg-client --example front_page -- 127.0.0.1:9092`

#![expect(
    clippy::print_stdout,
    reason = "a program of its own; the front page shows no more than it must"
)]

use thalweg_client::{Client, NewTopic, Record, StartAt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = std::env::args().nth(1).unwrap_or("127.0.0.1:9092".to_owned());
    let client = Client::builder().bootstrap(broker).client_name("front-page").build()?;
    client.admin().create_topic(NewTopic::new("events").partitions(3)).await?;

    let producer = client.producer().build().await?;
    let receipt = producer.send(Record::to("events").key("net-7").value("hello")).await?;
    let delivered = receipt.await?; // on stable storage, in order, exactly once
    println!("partition {} offset {}", delivered.partition, delivered.offset);
    producer.close().await?;

    let mut consumer = client.consumer().topic("events", StartAt::Earliest).build().await?;
    while let Some(record) = consumer.next().await {
        let record = record?;
        println!("{} {:?}", record.offset, record.value);
    }
    Ok(())
}
