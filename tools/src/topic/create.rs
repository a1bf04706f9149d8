//! `thalweg topic create`.

use clap::Args;
use thalweg_client::NewTopic;

use super::list::Shown;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::values;

/// A topic to create.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The topic's name: letters, digits, '.', '_' and '-'
    name: String,
    /// How many partitions (default: the broker's `default_partitions`)
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas of each partition (default: the broker's `default_replication_factor`)
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting that differs from the default, such as retention.ms=86400000
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = values::pair)]
    configs: Vec<(String, String)>,
    /// Only check whether it could be created
    #[arg(long)]
    validate: bool,
    #[command(flatten)]
    connect: Connect,
}

impl CreateArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        let mut topic = NewTopic::new(&self.name);
        if let Some(count) = self.partitions {
            topic = topic.partitions(count);
        }
        if let Some(count) = self.replication_factor {
            topic = topic.replication_factor(count);
        }
        let topic =
            self.configs.into_iter().fold(topic, |topic, (key, value)| topic.config(key, value));
        let created = if self.validate {
            admin.validate_topic(topic).await?
        } else {
            admin.create_topic(topic).await?
        };
        if console.is_json() {
            return console.json(&Shown {
                name: created.name,
                id: created.id.to_string(),
                partitions: created.partitions.into(),
                replication_factor: created.replication_factor.into(),
            });
        }
        let (done, many) =
            (if self.validate { "could create" } else { "created" }, created.partitions);
        let partitions = if many == 1 { "partition" } else { "partitions" };
        Ok(console.line(&format!("{done} topic {} with {many} {partitions}", created.name))?)
    }
}
