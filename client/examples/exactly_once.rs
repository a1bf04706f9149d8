//! Stores each record of a topic exactly once in an `SQLite` table, whenever it is killed and started again.
//!
//! The offset is stored with the result, in one transaction: either both are there or neither. Where to go on is read
//! from the table, so no group and no committed offset is needed.
//!
//! `cargo run -p thalweg-client --example exactly_once -- 127.0.0.1:9092 events results.db`

use std::io::Write;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use thalweg_client::{Client, ConsumedRecord, Offset, PartitionIndex, StartAt};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS results (part INTEGER, offset INTEGER, value TEXT);
    CREATE TABLE IF NOT EXISTS next_offsets (
        topic TEXT, part INTEGER, offset INTEGER, PRIMARY KEY (topic, part)
    );";

/// Changes nothing if another process has come further.
const ADVANCE: &str = "
    INSERT INTO next_offsets (topic, part, offset) VALUES (?1, ?2, ?3 + 1)
    ON CONFLICT (topic, part) DO UPDATE SET offset = excluded.offset WHERE offset <= ?3";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or("127.0.0.1:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    let file = arguments.next().unwrap_or("results.db".to_owned());

    let mut database = Connection::open(file)?;
    // Another writer takes its turns whenever it wants them: on a busy machine 5 s, as is usual, are not enough.
    database.busy_timeout(Duration::from_mins(1))?;
    database.execute_batch(TABLES)?;
    let client = Client::builder().bootstrap(broker).client_name("exactly-once").build()?;
    let mut places = Vec::new();
    for described in client.admin().describe_topic(&topic).await?.partitions {
        let start = next_offset(&database, &topic, described.partition)?;
        places.push((&topic, described.partition, start));
    }

    // Reads what is there and ends; without `stop_at_end` it would wait for more.
    let mut consumer = client.consumer().assign(places).stop_at_end().build().await?;
    while let Some(record) = consumer.next().await {
        let record = record?;
        // Waits for the disk: the client's own tasks go on beside it.
        let is_new = tokio::task::block_in_place(|| store(&mut database, &record))?;
        let told = if is_new { "stored" } else { "was stored by another" };
        writeln!(std::io::stdout(), "{}/{} {told}", record.partition, record.offset)?;
    }
    Ok(())
}

/// Where the table ends for this partition.
fn next_offset(
    database: &Connection,
    topic: &str,
    partition: PartitionIndex,
) -> rusqlite::Result<StartAt> {
    let query = "SELECT offset FROM next_offsets WHERE topic = ?1 AND part = ?2";
    let found = database.query_row(query, params![topic, partition.get()], |row| row.get(0));
    let offset: Option<i64> = found.optional()?;
    Ok(offset.map_or(StartAt::Earliest, |offset| StartAt::Offset(Offset::new(offset))))
}

/// The result and the offset, or neither. One transaction may hold many records, which is much faster.
fn store(database: &mut Connection, record: &ConsumedRecord) -> rusqlite::Result<bool> {
    let (topic, part) = (record.topic.as_str(), record.partition.get());
    let offset = record.offset.get();
    let value = record.value.as_deref().map(String::from_utf8_lossy);
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_new = transaction.execute(ADVANCE, params![topic, part, offset])? == 1;
    if is_new {
        let insert = "INSERT INTO results (part, offset, value) VALUES (?1, ?2, ?3)";
        transaction.execute(insert, params![part, offset, value.as_deref()])?;
    }
    transaction.commit()?;
    Ok(is_new)
}
