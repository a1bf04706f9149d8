//! `thalweg topic compact`: asks for a run now, and waits for it.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use thalweg_client::CompactionStatus;

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;

/// How often a run that is waited for is asked after.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A topic to compact.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// The topic's name
    name: String,
    /// The partition (default: all of them)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Return at once, without waiting for the runs to end
    #[arg(long, conflicts_with = "status")]
    no_wait: bool,
    /// Ask for nothing, only show how the topic stands
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    connect: Connect,
}

/// How one partition stands.
#[derive(Serialize)]
struct Row {
    partition: i32,
    waits: bool,
    runs: u64,
    cleaned_end: i64,
    clean_bytes: u64,
    dirty_bytes: u64,
    before_bytes: u64,
    after_bytes: u64,
    failure: Option<String>,
}

impl Row {
    fn new(partition: i32, status: CompactionStatus) -> Self {
        Self {
            partition,
            waits: status.waits,
            runs: status.runs,
            cleaned_end: status.cleaned_end.get(),
            clean_bytes: status.clean_bytes,
            dirty_bytes: status.dirty_bytes,
            before_bytes: status.before_bytes,
            after_bytes: status.after_bytes,
            failure: status.failure,
        }
    }
}

impl CompactArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        let described = admin.describe_topic(&self.name).await?.partitions;
        let partitions: Vec<i32> = match self.partition {
            Some(partition) => vec![partition],
            None => described.iter().map(|it| it.partition.get()).collect(),
        };
        let mut rows = Vec::new();
        for partition in &partitions {
            let status = if self.status {
                admin.compaction_status(&self.name, *partition).await?
            } else {
                admin.compact(&self.name, *partition).await?
            };
            rows.push(Row::new(*partition, status));
        }
        if !self.no_wait && !self.status {
            for row in &mut rows {
                while row.waits {
                    tokio::time::sleep(ASK_AGAIN).await;
                    let status = admin.compaction_status(&self.name, row.partition).await?;
                    *row = Row::new(row.partition, status);
                }
            }
        }
        show(console, &rows)?;
        let failed = rows.iter().filter(|row| row.failure.is_some()).count();
        if failed > 0 {
            let of = rows.len();
            return Err(Failure::failed(format!("{failed} of {of} partitions were not compacted")));
        }
        Ok(())
    }
}

fn show(console: &mut Console, rows: &[Row]) -> Result<(), Failure> {
    if console.is_json() {
        return console.json(&rows);
    }
    let mut table = Table::new(&[
        "#partition",
        "#cleaned to",
        "#clean",
        "#dirty",
        "#before",
        "#after",
        "state",
    ]);
    for row in rows {
        let state = match &row.failure {
            Some(failure) => failure.clone(),
            None if row.waits => "waits".to_owned(),
            None => String::new(),
        };
        table.row([
            row.partition.to_string(),
            row.cleaned_end.to_string(),
            values::size(row.clean_bytes),
            values::size(row.dirty_bytes),
            values::size(row.before_bytes),
            values::size(row.after_bytes),
            state,
        ]);
    }
    Ok(console.table(&table)?)
}
