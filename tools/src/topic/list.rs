//! `thalweg topic list`.

use clap::Args;
use serde::Serialize;
use thalweg_client::TopicListing;

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;

/// Topics to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connect: Connect,
}

/// A topic as `create` and `list` show it.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) partitions: i64,
    pub(super) replication_factor: i64,
}

impl ListArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let topics = self.connect.client()?.admin().list_topics().await?;
        if console.is_json() {
            let shown: Vec<Shown> = topics.into_iter().map(shown).collect();
            return console.json(&shown);
        }
        if topics.is_empty() {
            console.note("there are no topics yet; `thalweg topic create NAME` makes one");
            return Ok(());
        }
        let mut table = Table::new(&["topic", "#partitions", "#replicas", "id"]);
        for topic in topics.into_iter().map(shown) {
            let (partitions, replicas) = (topic.partitions, topic.replication_factor);
            table.row([topic.name, partitions.to_string(), replicas.to_string(), topic.id]);
        }
        Ok(console.table(&table)?)
    }
}

fn shown(topic: TopicListing) -> Shown {
    Shown {
        name: topic.name,
        id: topic.id.to_string(),
        partitions: i64::try_from(topic.partitions).unwrap_or(i64::MAX),
        replication_factor: i64::try_from(topic.replication_factor).unwrap_or(i64::MAX),
    }
}
