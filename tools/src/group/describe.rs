//! `thalweg group describe`: members, owners, committed offsets, and how far behind the group is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};
use serde::Serialize;
use thalweg_client::{
    AssignedTopic, DescribedGroup, DescribedMember, DescribedOffset, GroupSubscription, Offset,
};

use super::file;
use super::show::{self, Names};
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::timestamp;
use crate::values::{self, grouped};

/// Groups to describe.
#[derive(Debug, Args)]
#[command(
    after_help = "LAG is how many records are still to be read, BEHIND how old the next of them is by its \
    timestamp.\n\n\
    Examples:\n  \
    thalweg group describe alerts\n  \
    thalweg group describe alerts --export before.csv"
)]
pub(crate) struct DescribeArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Writes what the group has committed to this file, as lines of topic,partition,offset; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// A group as `describe` shows it to programs.
#[derive(Serialize)]
struct Shown {
    group: String,
    state: &'static str,
    kind: &'static str,
    assignor: String,
    epoch: i32,
    rebalances: u64,
    stall_ms: u64,
    commits_per_minute: u64,
    /// Of all partitions of which it is known.
    lag_records: i64,
    /// The largest of all partitions.
    lag_ms: i64,
    members: Vec<ShownMember>,
    partitions: Vec<ShownPartition>,
}

#[derive(Serialize)]
struct ShownMember {
    member: String,
    instance: Option<String>,
    client: String,
    host: String,
    epoch: i32,
    session_timeout_ms: u32,
    heartbeat_age_ms: u64,
    subscribed: Vec<String>,
    pattern: Option<String>,
    owned: Vec<ShownTopic>,
    target: Vec<ShownTopic>,
}

#[derive(Serialize)]
struct ShownTopic {
    topic: String,
    partitions: Vec<i32>,
}

/// Numbers that are not known are null.
#[derive(Serialize)]
struct ShownPartition {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    log_start: Option<i64>,
    log_end: Option<i64>,
    lag_records: Option<i64>,
    lag_ms: Option<i64>,
    owner: Option<String>,
    committed_at: Option<i64>,
    metadata: String,
}

impl DescribeArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        if self.export.is_some() && self.groups.len() > 1 {
            return Err(Failure::usage("--export writes the offsets of one group: name only one"));
        }
        let admin = self.connect.client()?.admin();
        for (place, name) in self.groups.iter().enumerate() {
            let group = admin.describe_group(name).await?;
            if let Some(path) = &self.export {
                export(path, &group, console)?;
                if path == Path::new("-") {
                    continue;
                }
            }
            if console.is_json() {
                console.json(&shown(group))?;
                continue;
            }
            if place > 0 {
                console.line("")?;
            }
            table(&group, console)?;
        }
        Ok(())
    }
}

fn export(path: &Path, group: &DescribedGroup, console: &Console) -> Result<(), Failure> {
    let offsets = committed(group);
    file::write(path, &offsets)?;
    console.note(&format!("wrote {} offsets to {}", offsets.len(), path.display()));
    Ok(())
}

/// What the group has committed.
pub(super) fn committed(group: &DescribedGroup) -> file::Offsets {
    let mut offsets = file::Offsets::new();
    for topic in &group.offsets {
        let with_offset = topic.partitions.iter().filter(|it| it.committed != Offset::NONE);
        offsets.extend(with_offset.map(|it| ((topic.name.clone(), it.partition), it.committed)));
    }
    offsets
}

fn shown(group: DescribedGroup) -> Shown {
    let mut partitions = Vec::new();
    for topic in &group.offsets {
        partitions.extend(topic.partitions.iter().map(|it| shown_partition(&topic.name, it)));
    }
    Shown {
        state: show::state(group.state),
        kind: show::kind(group.kind),
        epoch: group.epoch.get(),
        rebalances: group.rebalances,
        stall_ms: group.stall_ms,
        commits_per_minute: group.commits_per_minute,
        lag_records: partitions.iter().filter_map(|it| it.lag_records).sum(),
        lag_ms: partitions.iter().filter_map(|it| it.lag_ms).max().unwrap_or(0),
        members: group.members.into_iter().map(shown_member).collect(),
        partitions,
        group: group.group,
        assignor: group.assignor,
    }
}

fn shown_member(it: DescribedMember) -> ShownMember {
    ShownMember {
        member: it.member,
        instance: it.instance,
        client: it.client_name,
        host: it.host,
        epoch: it.epoch.get(),
        session_timeout_ms: it.session_timeout_ms,
        heartbeat_age_ms: it.heartbeat_age_ms,
        subscribed: it.subscription.names,
        pattern: it.subscription.pattern,
        owned: it.owned.into_iter().map(shown_topic).collect(),
        target: it.target.into_iter().map(shown_topic).collect(),
    }
}

fn shown_topic(topic: AssignedTopic) -> ShownTopic {
    let partitions = topic.partitions.iter().map(|partition| partition.get()).collect();
    ShownTopic { topic: topic.name, partitions }
}

fn shown_partition(topic: &str, it: &DescribedOffset) -> ShownPartition {
    let known = |number: i64| (number >= 0).then_some(number);
    ShownPartition {
        topic: topic.to_owned(),
        partition: it.partition.get(),
        committed: known(it.committed.get()),
        log_start: known(it.log_start.get()),
        log_end: known(it.high_watermark.get()),
        lag_records: known(it.lag_records),
        lag_ms: known(it.lag_ms),
        owner: (!it.owner.is_empty()).then(|| it.owner.clone()),
        committed_at: known(it.commit_time.get()),
        metadata: it.metadata.clone(),
    }
}

fn table(group: &DescribedGroup, console: &mut Console) -> Result<(), Failure> {
    console.line(&format!(
        "group {}   {}   kind {}   assignor {}   epoch {}",
        group.group,
        show::state(group.state),
        show::kind(group.kind),
        if group.assignor.is_empty() { "-" } else { &group.assignor },
        group.epoch,
    ))?;
    console.line(&format!(
        "rebalances {}   stall {}   offsets committed in the last minute {}\n",
        grouped(group.rebalances),
        values::age(Duration::from_millis(group.stall_ms)),
        grouped(group.commits_per_minute),
    ))?;
    let names = Names::of(group);
    if !group.members.is_empty() {
        console.table(&members(group, &names))?;
        console.line("")?;
    }
    let heads = [
        "topic",
        "#partition",
        "#committed",
        "#log end",
        "#lag",
        "#behind",
        "owner",
        "committed at",
        "note",
    ];
    let mut table = Table::new(&heads);
    let number = |number: i64| if number < 0 { "-".to_owned() } else { number.to_string() };
    for topic in &group.offsets {
        for it in &topic.partitions {
            table.row([
                topic.name.clone(),
                it.partition.to_string(),
                number(it.committed.get()),
                number(it.high_watermark.get()),
                number(it.lag_records),
                behind(it.lag_ms),
                names.name(&it.owner).to_owned(),
                timestamp::print(it.commit_time),
                it.metadata.clone(),
            ]);
        }
    }
    console.table(&table)?;
    let all = || group.offsets.iter().flat_map(|topic| &topic.partitions);
    let records: i64 = all().map(|it| it.lag_records.max(0)).sum();
    let oldest = all().map(|it| it.lag_ms).max().unwrap_or(0);
    console.line(&format!(
        "\nlag {} records, {} behind",
        grouped(records),
        behind(oldest.max(0))
    ))?;
    Ok(())
}

fn members(group: &DescribedGroup, names: &Names) -> Table {
    let heads =
        ["member", "instance", "client", "host", "#epoch", "#last heartbeat", "subscribed", "owns"];
    let mut table = Table::new(&heads);
    for it in &group.members {
        let heartbeat = Duration::from_millis(it.heartbeat_age_ms);
        table.row([
            names.name(&it.member).to_owned(),
            it.instance.clone().unwrap_or_else(|| "-".to_owned()),
            it.client_name.clone(),
            it.host.clone(),
            it.epoch.to_string(),
            format!("{} ago", values::age(heartbeat)),
            subscribed(&it.subscription),
            owns(it),
        ]);
    }
    table
}

fn subscribed(subscription: &GroupSubscription) -> String {
    let pattern = subscription.pattern.iter().map(|pattern| format!("/{pattern}/"));
    let all: Vec<String> = subscription.names.iter().cloned().chain(pattern).collect();
    all.join(",")
}

/// What it owns, and what is on its way to it.
fn owns(member: &DescribedMember) -> String {
    let listed = |topics: &[AssignedTopic]| {
        let each = topics.iter().filter(|topic| !topic.partitions.is_empty()).map(|topic| {
            let numbers: Vec<String> = topic.partitions.iter().map(ToString::to_string).collect();
            format!("{}:{}", topic.name, numbers.join(","))
        });
        let all = each.collect::<Vec<_>>().join(" ");
        if all.is_empty() { "-".to_owned() } else { all }
    };
    let (owned, target) = (listed(&member.owned), listed(&member.target));
    if owned == target { owned } else { format!("{owned} -> {target}") }
}

/// How old the next record is.
fn behind(ms: i64) -> String {
    u64::try_from(ms).map_or_else(|_| "-".to_owned(), |ms| values::age(Duration::from_millis(ms)))
}
