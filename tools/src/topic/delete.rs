//! `thalweg topic delete` and `delete-records`: a person is asked, a script must say `--yes`.

use clap::Args;
use serde::Serialize;
use thalweg_client::Offset;

use super::alter::done;
use crate::confirm::confirm;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;

/// A topic to delete.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The topic's name
    name: String,
    /// Do not ask; needed when nobody can be asked
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Records to delete.
#[derive(Debug, Args)]
pub(crate) struct DeleteRecordsArgs {
    /// The topic's name
    name: String,
    /// The first offset that stays, or "end" for none
    #[arg(long, value_name = "OFFSET", value_parser = before)]
    before: Offset,
    /// The partition (default: all of them)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Do not ask before everything is deleted; needed with "end" when nobody can be asked
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

fn before(text: &str) -> Result<Offset, String> {
    match text {
        "end" => Ok(Offset::NONE),
        _ => match text.parse::<i64>() {
            Ok(offset @ 0..) => Ok(Offset::new(offset)),
            _ => Err("possible are an offset such as 4711, or \"end\"".to_owned()),
        },
    }
}

impl DeleteArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        if !self.yes {
            // A misspelt name is told before anybody is asked.
            let partitions = admin.describe_topic(&self.name).await?.partitions;
            let records: i64 =
                partitions.iter().map(|it| it.high_watermark.since(it.log_start)).sum();
            let what = format!("topic {} with its {} records", self.name, values::grouped(records));
            confirm(console, &what, "topic", &self.name)?;
        }
        admin.delete_topic(&self.name).await?;
        done(console, &self.name, "deleted")
    }
}

/// Where a partition begins now.
#[derive(Serialize)]
struct NewStart {
    partition: i32,
    log_start: i64,
}

impl DeleteRecordsArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        let described = admin.describe_topic(&self.name).await?.partitions;
        let partitions: Vec<i32> = match self.partition {
            Some(partition) => vec![partition],
            None => described.iter().map(|it| it.partition.get()).collect(),
        };
        // Who writes an offset knows what lies below it.
        if self.before == Offset::NONE && !self.yes {
            let what = format!("all records of topic {}", self.name);
            confirm(console, &what, "topic", &self.name)?;
        }
        let mut starts = Vec::new();
        for partition in partitions {
            let log_start = admin.delete_records(&self.name, partition, self.before).await?.get();
            starts.push(NewStart { partition, log_start });
        }
        if console.is_json() {
            return console.json(&starts);
        }
        let mut table = Table::new(&["#partition", "#log start"]);
        for start in starts {
            table.row([start.partition.to_string(), start.log_start.to_string()]);
        }
        Ok(console.table(&table)?)
    }
}
