//! Creates a topic, changes it, shows it, deletes it.
//!
//! `cargo run -p thalweg-client --example admin -- 127.0.0.1:9092`

use std::io::Write;

use thalweg_client::{AlterTopic, Client, NewTopic};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = std::env::args().nth(1).unwrap_or("127.0.0.1:9092".to_owned());
    let client = Client::builder().bootstrap(broker).client_name("admin").build()?;
    let admin = client.admin();
    let mut out = std::io::stdout();

    let topic = NewTopic::new("example-admin").partitions(2);
    let created = admin.create_topic(topic).await?;
    writeln!(out, "created {} with {} partitions", created.name, created.partitions)?;

    admin.alter_topic(AlterTopic::new("example-admin").partitions(3)).await?;
    for partition in admin.describe_topic("example-admin").await?.partitions {
        writeln!(
            out,
            "partition {}: leader {}, offsets {} to {}",
            partition.partition, partition.leader, partition.log_start, partition.log_end
        )?;
    }
    admin.delete_topic("example-admin").await?;
    Ok(())
}
