//! `thalweg cluster`: brokers, their disks, and what is wrong.

use clap::{Args, Subcommand};
use serde::Serialize;
use thalweg_client::{ClusterDescription, DescribedBroker, DescribedDirectory};

use crate::connect::{Connect, runtime};
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show brokers, their log directories, and what is wrong
    Status(StatusArgs),
}

/// The cluster to look at.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    connect: Connect,
}

impl ClusterCommand {
    /// Carries out the command.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let Self::Status(args) = self;
        let described = runtime()?.block_on(async {
            Ok::<_, Failure>(args.connect.client()?.admin().describe_cluster().await?)
        })?;
        if console.is_json() {
            console.json(&Shown::of(&described))
        } else {
            table(&described, console)
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    cluster: String,
    controller: i32,
    topics: u32,
    partitions: u32,
    partitions_leaderless: u32,
    partitions_under_replicated: u32,
    brokers: Vec<ShownBroker<'a>>,
}

#[derive(Serialize)]
struct ShownBroker<'a> {
    id: i32,
    epoch: i64,
    host: &'a str,
    port: u16,
    rack: Option<&'a str>,
    version: &'a str,
    leaders: u32,
    replicas: u32,
    directories: Vec<ShownDirectory<'a>>,
}

#[derive(Serialize)]
struct ShownDirectory<'a> {
    id: String,
    path: &'a str,
    state: &'a str,
    reason: &'a str,
    total_bytes: u64,
    free_bytes: u64,
    replicas: u32,
}

impl<'a> Shown<'a> {
    fn of(cluster: &'a ClusterDescription) -> Self {
        Self {
            cluster: cluster.cluster.to_string(),
            controller: cluster.controller.get(),
            topics: cluster.topics,
            partitions: cluster.partitions,
            partitions_leaderless: cluster.partitions_leaderless,
            partitions_under_replicated: cluster.partitions_under_replicated,
            brokers: cluster.brokers.iter().map(broker).collect(),
        }
    }
}

fn broker(it: &DescribedBroker) -> ShownBroker<'_> {
    let directory = |it: &'_ DescribedDirectory| it.id.to_string();
    ShownBroker {
        id: it.id.get(),
        epoch: it.epoch.get(),
        host: &it.host,
        port: it.port,
        rack: it.rack.as_deref(),
        version: &it.version,
        leaders: it.leaders,
        replicas: it.replicas,
        directories: it
            .directories
            .iter()
            .map(|one| ShownDirectory {
                id: directory(one),
                path: &one.path,
                state: &one.state,
                reason: &one.reason,
                total_bytes: one.total_bytes,
                free_bytes: one.free_bytes,
                replicas: one.replicas,
            })
            .collect(),
    }
}

fn table(cluster: &ClusterDescription, console: &mut Console) -> Result<(), Failure> {
    console.line(&format!(
        "cluster {}   controller {}\n{} topics, {} partitions: {} without a leader, {} under-replicated\n",
        cluster.cluster,
        cluster.controller,
        values::grouped(cluster.topics),
        values::grouped(cluster.partitions),
        values::grouped(cluster.partitions_leaderless),
        values::grouped(cluster.partitions_under_replicated),
    ))?;
    let mut brokers =
        Table::new(&["#broker", "address", "rack", "release", "#leaders", "#replicas"]);
    for it in &cluster.brokers {
        brokers.row([
            it.id.to_string(),
            format!("{}:{}", it.host, it.port),
            it.rack.clone().unwrap_or_else(|| "-".to_owned()),
            it.version.clone(),
            values::grouped(it.leaders),
            values::grouped(it.replicas),
        ]);
    }
    console.table(&brokers)?;
    let heads = ["#broker", "folder", "state", "#free", "#of", "#replicas", "trouble"];
    let mut directories = Table::new(&heads);
    for (id, it) in
        cluster.brokers.iter().flat_map(|it| it.directories.iter().map(move |dir| (it.id, dir)))
    {
        directories.row([
            id.to_string(),
            it.path.clone(),
            it.state.clone(),
            values::size(it.free_bytes),
            values::size(it.total_bytes),
            values::grouped(it.replicas),
            it.reason.clone(),
        ]);
    }
    console.line("")?;
    Ok(console.table(&directories)?)
}
