//! `thalweg group delete` and `delete-offsets`: a person is asked, a script must say `--yes`.

use clap::Args;
use serde::Serialize;

use super::describe::committed;
use super::scope::TopicScope;
use crate::confirm::confirm;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::values::grouped;

/// Groups to delete.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The group; it must have no members
    group: String,
    /// Do not ask; needed when nobody can be asked
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Offsets to delete.
#[derive(Debug, Args)]
pub(crate) struct DeleteOffsetsArgs {
    /// The group
    group: String,
    /// The topic, or some of its partitions: events, events:0,3; no member may be subscribed to it
    #[arg(long = "topic", value_name = "TOPIC[:PARTITION,…]", required = true)]
    topics: Vec<TopicScope>,
    /// Do not ask; needed when nobody can be asked
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

/// What was done to which group.
#[derive(Serialize)]
struct Outcome<'a> {
    group: &'a str,
    done: &'a str,
    offsets: usize,
}

impl DeleteArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        // A misspelt name is told before anybody is asked.
        let offsets = committed(&admin.describe_group(&self.group).await?).len();
        if !self.yes {
            let what = format!("group {} with its {} offsets", self.group, grouped(offsets as u64));
            confirm(console, &what, "group", &self.group)?;
        }
        admin.delete_group(&self.group).await?;
        if console.is_json() {
            return console.json(&Outcome { group: &self.group, done: "deleted", offsets });
        }
        Ok(console.line(&format!("deleted group {}", self.group))?)
    }
}

impl DeleteOffsetsArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        let known = committed(&admin.describe_group(&self.group).await?);
        let mut wanted = Vec::new();
        for scope in &self.topics {
            let partitions = scope.partitions_of(&admin.describe_topic(&scope.topic).await?)?;
            wanted.push((scope.topic.clone(), partitions));
        }
        let each = wanted.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|partition| (topic.clone(), *partition))
        });
        let offsets = each.filter(|at| known.contains_key(at)).count();
        if !self.yes {
            let what = format!("{} offsets of group {}", grouped(offsets as u64), self.group);
            confirm(console, &what, "group", &self.group)?;
        }
        for (topic, partitions) in wanted {
            let partitions = partitions.into_iter().map(thalweg_client::PartitionIndex::get);
            admin.delete_group_offsets(&self.group, &topic, partitions).await?;
        }
        if console.is_json() {
            return console.json(&Outcome { group: &self.group, done: "deleted offsets", offsets });
        }
        Ok(console.line(&format!("deleted {offsets} offsets of group {}", self.group))?)
    }
}
