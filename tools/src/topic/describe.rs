//! `thalweg topic describe`: partitions with their offsets and sizes, settings with their source.

use clap::Args;
use serde::Serialize;
use thalweg_client::{ConfigSource, DescribedPartition, DescribedTopic};

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;

/// A topic to describe.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The topic's name
    name: String,
    /// Also the settings that nobody changed
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connect: Connect,
}

/// A topic as `describe` shows it to programs.
#[derive(Serialize)]
struct Described {
    name: String,
    id: String,
    internal: bool,
    partitions: Vec<ShownPartition>,
    configs: Vec<ShownConfig>,
}

#[derive(Serialize)]
struct ShownPartition {
    partition: i32,
    leader: i32,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    log_start: i64,
    high_watermark: i64,
    log_end: i64,
    log_bytes: i64,
    error: Option<String>,
}

#[derive(Serialize)]
struct ShownConfig {
    key: String,
    value: String,
    source: &'static str,
    doc: String,
}

const fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Default => "default",
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
    }
}

impl DescribeArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let mut topic = self.connect.client()?.admin().describe_topic(&self.name).await?;
        if !self.all && !console.is_json() {
            topic.configs.retain(|config| config.source != ConfigSource::Default);
        }
        if console.is_json() {
            describe_json(topic, console)
        } else {
            describe_table(topic, console)
        }
    }
}

fn describe_json(topic: DescribedTopic, console: &mut Console) -> Result<(), Failure> {
    let partition = |it: DescribedPartition| ShownPartition {
        partition: it.partition.get(),
        leader: it.leader.get(),
        leader_epoch: it.leader_epoch.get(),
        replicas: it.replicas.iter().map(|id| id.get()).collect(),
        isr: it.isr.iter().map(|id| id.get()).collect(),
        log_start: it.log_start.get(),
        high_watermark: it.high_watermark.get(),
        log_end: it.log_end.get(),
        log_bytes: it.log_bytes,
        error: it.error.map(|error| error.to_string()),
    };
    let configs = topic.configs.into_iter().map(|config| ShownConfig {
        key: config.key,
        value: config.value,
        source: source(config.source),
        doc: config.doc,
    });
    console.json(&Described {
        name: topic.name,
        id: topic.id.to_string(),
        internal: topic.internal,
        partitions: topic.partitions.into_iter().map(partition).collect(),
        configs: configs.collect(),
    })
}

fn describe_table(topic: DescribedTopic, console: &mut Console) -> Result<(), Failure> {
    console.line(&format!("topic {}   id {}\n", topic.name, topic.id))?;
    let heads = [
        "#partition",
        "#leader",
        "#epoch",
        "replicas",
        "in sync",
        "#log start",
        "#high watermark",
        "#log end",
        "#size",
        "trouble",
    ];
    let mut table = Table::new(&heads);
    let ids = |ids: &[thalweg_client::BrokerId]| {
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    for it in topic.partitions {
        table.row([
            it.partition.to_string(),
            it.leader.to_string(),
            it.leader_epoch.to_string(),
            ids(&it.replicas),
            ids(&it.isr),
            it.log_start.to_string(),
            it.high_watermark.to_string(),
            it.log_end.to_string(),
            values::size(u64::try_from(it.log_bytes).unwrap_or(0)),
            it.error.map(|error| error.to_string()).unwrap_or_default(),
        ]);
    }
    console.table(&table)?;
    if !topic.configs.is_empty() {
        let mut table = Table::new(&["setting", "value", "from"]);
        for config in topic.configs {
            table.row([config.key, config.value, source(config.source).to_owned()]);
        }
        console.line("")?;
        console.table(&table)?;
    }
    Ok(())
}
