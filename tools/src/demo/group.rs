//! A group of three processes that share the topic; one is killed, and the other two take over.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use thalweg_client::{AdminError, Client, DescribedGroup, DescribedOffset, GroupState};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{interval, timeout};

use super::narrate::{detail, good};
use super::publish::{Round, TOPIC, Tally};
use super::story::reached;
use crate::clock::Started;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::values::{self, grouped};

const GROUP: &str = "demo";
const MEMBERS: usize = 3;

/// Nothing here takes so long.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Partition and offset of each event that was printed, and how often.
type Counted = Arc<Mutex<BTreeMap<(i32, i64), u64>>>;

/// One member in a process of its own. Dropped, it is killed.
struct Member {
    child: Child,
    pid: u32,
    id: String,
}

/// The group.
pub(super) struct Members {
    members: Vec<Member>,
    counted: Counted,
}

/// What the demo tells programs about its group.
#[derive(Debug, Serialize)]
pub(super) struct Summed {
    members: usize,
    killed: u32,
    owners_before: Vec<String>,
    owners_after: Vec<String>,
    events: usize,
    counted_twice: usize,
    pub(super) lag_records: i64,
}

impl Members {
    /// Starts three processes of this very program.
    pub(super) async fn start(address: &str) -> Result<Self, Failure> {
        let counted = Counted::default();
        let mut starting = Vec::new();
        for _ in 0..MEMBERS {
            starting.push(Member::start(address, &counted)?);
        }
        let mut members = Vec::new();
        for (child, pid, mut errors) in starting {
            let id = timeout(WAIT_MAX, joined(&mut errors)).await.ok().flatten();
            let id = id.ok_or_else(|| Failure::failed("a member did not join the group"))?;
            // Read on, so that the member can go on telling.
            tokio::spawn(async move { while let Ok(Some(_)) = errors.next_line().await {} });
            members.push(Member { child, pid, id });
        }
        Ok(Self { members, counted })
    }

    /// Publishes a round, kills one of the members in the middle, and checks that the others have it all.
    pub(super) async fn tell(
        mut self,
        console: &mut Console,
        client: &Client,
        round: Round,
        tally: &Tally,
    ) -> Result<Summed, Failure> {
        let before = self.until(client, "each of three owns a partition", |group, _| {
            group.state == GroupState::Stable && owners(group).len() == MEMBERS
        });
        let before = before.await?;
        let total = u64::try_from(round.events.len()).unwrap_or(u64::MAX);
        let publishing = tokio::spawn(round.publish());
        reached(tally, total / 3).await?;
        let victim = self.kill(&before).await?;
        let killed = Started::now();
        let text = format!("process {}, with SIGKILL, while events come", victim.pid);
        detail(console, "killed", &text)?;
        let published = publishing.await;
        published
            .map_err(|error| Failure::failed(format!("the publishing has ended: {error}")))??;
        let gone = &victim.id;
        let after = self.until(client, "the others own all and have read all", |group, counted| {
            is_taken_over(&before, group, gone, counted)
        });
        let after = after.await?;
        let text = format!(
            "{} later; a member is silent for 3 s before it counts as dead",
            values::time(killed.elapsed())
        );
        detail(console, "taken over", &text)?;
        self.show(console, &victim, &before, &after)?;
        let summed = self.summed(&victim, &before, &after);
        self.end().await;
        Ok(summed)
    }

    /// Asks for the group until it is so.
    async fn until(
        &self,
        client: &Client,
        what: &str,
        is_so: impl Fn(&DescribedGroup, &BTreeMap<(i32, i64), u64>) -> bool,
    ) -> Result<DescribedGroup, Failure> {
        let mut ticks = interval(Duration::from_millis(20));
        let admin = client.admin();
        let asking = async {
            loop {
                ticks.tick().await;
                let group = admin.describe_group(GROUP).await?;
                let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
                if is_so(&group, &counted) {
                    return Ok::<_, AdminError>(group.clone());
                }
            }
        };
        let asked = timeout(WAIT_MAX, asking).await;
        let late = |_| Failure::failed(format!("within {} s not so: {what}", WAIT_MAX.as_secs()));
        Ok(asked.map_err(late)??)
    }

    /// SIGKILL for the owner of the first partition.
    async fn kill(&mut self, group: &DescribedGroup) -> Result<Member, Failure> {
        let owner = partitions(group).next().map(|it| it.owner.clone()).unwrap_or_default();
        let place = self.members.iter().position(|member| member.id == owner).unwrap_or_default();
        if self.members.is_empty() {
            return Err(Failure::failed("the group has no members"));
        }
        let mut victim = self.members.swap_remove(place);
        let killed = victim.child.kill().await;
        killed.map_err(|error| Failure::failed(format!("cannot kill a member: {error}")))?;
        Ok(victim)
    }

    fn show(
        &self,
        console: &mut Console,
        victim: &Member,
        before: &DescribedGroup,
        after: &DescribedGroup,
    ) -> Result<(), Failure> {
        let summed = self.summed(victim, before, after);
        if console.is_json() {
            return Ok(());
        }
        console.line("")?;
        let heads = ["#partition", "owner before", "owner after", "#committed", "#log end", "#lag"];
        let mut table = Table::new(&heads);
        let owners = summed.owners_before.iter().zip(&summed.owners_after);
        for (it, (owner, next)) in partitions(after).zip(owners) {
            let numbers = [it.committed.get(), it.high_watermark.get(), it.lag_records];
            let [committed, end, lag] = numbers.map(|number| number.to_string());
            table.row([it.partition.to_string(), owner.clone(), next.clone(), committed, end, lag]);
        }
        console.table_indented(&table, 5)?;
        console.line("")?;
        good(console, "the other two have taken over, and lag is back at zero")?;
        let (events, twice) = (grouped(summed.events as u64), grouped(summed.counted_twice as u64));
        good(
            console,
            &format!(
                "each of the {events} events was counted at least once; {twice} of them twice, as the kill came \
                 before their commit"
            ),
        )
    }

    fn summed(&self, victim: &Member, before: &DescribedGroup, after: &DescribedGroup) -> Summed {
        let all = self.members.iter().chain([victim]);
        let processes: BTreeMap<&str, u32> = all.map(|it| (it.id.as_str(), it.pid)).collect();
        let named = |group: &DescribedGroup| {
            let owner = |it: &DescribedOffset| {
                let process = processes.get(it.owner.as_str());
                process.map_or_else(|| it.owner.clone(), |pid| format!("process {pid}"))
            };
            partitions(group).map(owner).collect()
        };
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        Summed {
            members: MEMBERS,
            killed: victim.pid,
            owners_before: named(before),
            owners_after: named(after),
            events: counted.len(),
            counted_twice: counted.values().filter(|times| **times > 1).count(),
            lag_records: partitions(after).map(|it| it.lag_records.max(0)).sum(),
        }
    }

    async fn end(self) {
        for mut member in self.members {
            // Its work is done; it leaves no trace behind that matters.
            drop(member.child.kill().await);
        }
    }
}

impl Member {
    fn start(
        address: &str,
        counted: &Counted,
    ) -> Result<(Child, u32, Lines<BufReader<ChildStderr>>), Failure> {
        let failed = |error| Failure::failed(format!("cannot start a member: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["consume", TOPIC, "--group", GROUP, "--follow", "--format", "%p %o"])
            .args(["--broker", address, "--output", "table"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the demo, which then ends its members.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pipe = || failed(std::io::ErrorKind::BrokenPipe.into());
        let out = child.stdout.take().ok_or_else(pipe)?;
        let errors = child.stderr.take().ok_or_else(pipe)?;
        let counted = Arc::clone(counted);
        tokio::spawn(async move {
            let mut lines = BufReader::new(out).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(place) = place(&line) {
                    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                    *counted.entry(place).or_default() += 1;
                }
            }
        });
        let pid = child.id().unwrap_or_default();
        Ok((child, pid, BufReader::new(errors).lines()))
    }
}

/// The member's id, by its own words.
async fn joined(errors: &mut Lines<BufReader<ChildStderr>>) -> Option<String> {
    while let Ok(Some(line)) = errors.next_line().await {
        if let Some((_, id)) = line.split_once(": joined as member ") {
            return Some(id.to_owned());
        }
    }
    None
}

fn place(line: &str) -> Option<(i32, i64)> {
    let (partition, offset) = line.split_once(' ')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

fn partitions(group: &DescribedGroup) -> impl Iterator<Item = &DescribedOffset> {
    group.offsets.iter().flat_map(|topic| &topic.partitions)
}

fn owners(group: &DescribedGroup) -> BTreeSet<&str> {
    partitions(group).map(|it| it.owner.as_str()).collect()
}

/// Whether the others own every partition that was owned `before`, and have read them all.
fn is_taken_over(
    before: &DescribedGroup,
    group: &DescribedGroup,
    gone: &str,
    counted: &BTreeMap<(i32, i64), u64>,
) -> bool {
    let owners = owners(group);
    let is_read = partitions(group).all(|it| it.lag_records == 0 && has_all(counted, it));
    // A partition that nobody owns, and for which nothing was committed yet, is not in the description.
    let is_whole = partitions(group).count() == partitions(before).count();
    is_whole && !owners.contains(gone) && !owners.contains("") && is_read
}

/// Whether every event of the partition was counted.
fn has_all(counted: &BTreeMap<(i32, i64), u64>, it: &DescribedOffset) -> bool {
    let partition = it.partition.get();
    let events = counted.range((partition, 0)..(partition, it.high_watermark.get())).count();
    i64::try_from(events).is_ok_and(|events| events == it.high_watermark.get())
}

#[cfg(test)]
mod tests {
    use thalweg_client::{
        DescribedTopicOffsets, GroupEpoch, GroupKind, LeaderEpoch, Offset, PartitionIndex,
        TimestampMs, TopicId,
    };

    use super::*;

    /// Found in a run of all tests: while the one that was killed does not count as dead yet, all is well; then nobody
    /// owns its partitions, and those without a committed offset are not in the description any more, nor is their lag.
    #[test]
    fn a_partition_that_is_not_described_is_not_taken_over() {
        let before = group(&[(0, "a", 0), (1, "b", 0)]);
        let counted: BTreeMap<(i32, i64), u64> = [((1, 0), 1), ((1, 1), 1)].into();
        assert!(!is_taken_over(&before, &group(&[(1, "b", 2)]), "a", &counted));
        assert!(!is_taken_over(&before, &group(&[(0, "", 0), (1, "b", 2)]), "a", &counted));
        assert!(!is_taken_over(&before, &group(&[(0, "a", 0), (1, "b", 2)]), "a", &counted));
        assert!(is_taken_over(&before, &group(&[(0, "b", 0), (1, "b", 2)]), "a", &counted));
        assert!(!is_taken_over(&before, &group(&[(0, "b", 1), (1, "b", 2)]), "a", &counted));
    }

    /// Partitions with their owner and their log end, all of which is committed.
    fn group(owned: &[(i32, &str, i64)]) -> DescribedGroup {
        let offset = |&(partition, owner, end): &(i32, &str, i64)| DescribedOffset {
            partition: PartitionIndex::new(partition),
            committed: Offset::new(end),
            leader_epoch: LeaderEpoch::new(0),
            log_start: Offset::new(0),
            high_watermark: Offset::new(end),
            lag_records: 0,
            lag_ms: 0,
            owner: owner.to_owned(),
            metadata: String::new(),
            commit_time: TimestampMs::new(-1),
        };
        let partitions = owned.iter().map(offset).collect();
        let (topic, name) = (TopicId::from_bytes([7; 16]), TOPIC.to_owned());
        DescribedGroup {
            error: None,
            group: GROUP.to_owned(),
            kind: GroupKind::Consumer,
            state: GroupState::Stable,
            epoch: GroupEpoch::new(3),
            assignor: "sticky".to_owned(),
            members: Vec::new(),
            offsets: vec![DescribedTopicOffsets { topic, name, partitions }],
            rebalances: 1,
            stall_ms: 0,
            commits_per_minute: 0,
        }
    }
}
