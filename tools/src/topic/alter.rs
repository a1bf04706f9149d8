//! `thalweg topic alter`.

use clap::Args;
use serde::Serialize;
use thalweg_client::AlterTopic;

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::values;

/// Changes to a topic.
#[derive(Debug, Args)]
pub(crate) struct AlterArgs {
    /// The topic's name
    name: String,
    /// How many partitions it shall have; the number can only grow, and keys move to other partitions
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// A setting to set, such as retention.ms=86400000
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = values::pair)]
    configs: Vec<(String, String)>,
    /// A setting to put back to its default
    #[arg(long = "reset", value_name = "KEY")]
    resets: Vec<String>,
    /// Only check whether it could be changed
    #[arg(long)]
    validate: bool,
    #[command(flatten)]
    connect: Connect,
}

impl AlterArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        if self.partitions.is_none() && self.configs.is_empty() && self.resets.is_empty() {
            return Err(Failure::usage(
                "nothing to change: give --partitions COUNT, --config KEY=VALUE or --reset KEY",
            ));
        }
        let admin = self.connect.client()?.admin();
        let mut change = AlterTopic::new(&self.name);
        if let Some(count) = self.partitions {
            change = change.partitions(count);
        }
        for (key, value) in self.configs {
            change = change.set(key, value);
        }
        for key in self.resets {
            change = change.reset(key);
        }
        if self.validate {
            admin.validate_alter(change).await?;
            return done(console, &self.name, "could alter");
        }
        admin.alter_topic(change).await?;
        done(console, &self.name, "altered")
    }
}

/// What was done to which topic.
#[derive(Serialize)]
struct Done<'a> {
    topic: &'a str,
    done: &'a str,
}

/// Says that it was done.
pub(super) fn done(console: &mut Console, topic: &str, done: &str) -> Result<(), Failure> {
    if console.is_json() {
        return console.json(&Done { topic, done });
    }
    Ok(console.line(&format!("{done} topic {topic}"))?)
}
