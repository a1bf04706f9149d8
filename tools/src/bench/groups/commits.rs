//! How many commits a second, and how long each takes: groups of one member each, which commits one offset at a time and
//! begins the next when it has the answer.

use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use thalweg_client::{CommitOffset, Consumer, Offset};

use super::super::latency::Latencies;
use super::super::machine;
use super::super::number::{float, share};
use super::command::GroupsArgs;
use super::figure::Figure;
use super::member;
use super::place::Place;
use crate::clock::Started;
use crate::failure::Failure;

const TOPIC: &str = "committed";
const PARTITIONS: i32 = 8;

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// A record of a commit is about so long.
const RECORD_BYTES: usize = 128;

/// One group alone, then all of them; beside the disk's own answer.
pub(super) async fn measure(args: &GroupsArgs, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let place = Place::open(folder, &[]).await?;
    place.make_topic(TOPIC, PARTITIONS).await?;
    let mut figures = Vec::new();
    for groups in [1, usize::from(args.groups)] {
        let partitions = usize::try_from(PARTITIONS).unwrap_or(usize::MAX);
        let members = member::stable(&place, TOPIC, (groups, 1), partitions).await?;
        let members = commit(members, WARM_UP.min(args.duration)).await?.0;
        let before = place.read().await?;
        let started = Started::now();
        let (members, latencies) = commit(members, args.duration).await?;
        let time = started.elapsed().as_secs_f64();
        let used = place.read().await?.since(before);
        let commits = float(latencies.percentiles().map_or(0, |told| told.samples));
        let of = format!("{groups} groups of one member");
        let of = if groups == 1 { "one group of one member".to_owned() } else { of };
        figures.push(Figure::new(format!("commits, {of}"), commits / time, "a second"));
        figures.extend(Figure::latencies(&format!("a commit, {of}"), &latencies));
        figures.push(Figure::new(format!("flushes, {of}"), used.flushes / time, "a second"));
        let each = share(used.cpu_seconds * 1e6, commits);
        figures.push(Figure::new(format!("broker's CPU, {of}"), each, "µs a commit"));
        try_join_all(members.into_iter().map(Consumer::close)).await?;
    }
    place.kill()?;
    let echo = tokio::task::block_in_place(|| machine::synced_echo(folder, RECORD_BYTES));
    let echo = echo.map_err(|error| Failure::failed(format!("cannot measure: {error}")))?;
    figures.extend(Figure::latencies("control: bare echo, each synced", &echo));
    Ok(figures)
}

/// Each of them commits until the time is over.
async fn commit(
    members: Vec<Consumer>,
    lasting: Duration,
) -> Result<(Vec<Consumer>, Latencies), Failure> {
    let started = Started::now();
    let committing = members.into_iter().map(|member| async move {
        let mut latencies = Latencies::new();
        for partition in (0..PARTITIONS).cycle() {
            let asked = started.elapsed();
            if asked >= lasting {
                break;
            }
            member.commit_offsets([CommitOffset::new(TOPIC, partition, Offset::ZERO)]).await?;
            latencies.record(started.elapsed().saturating_sub(asked));
        }
        Ok::<_, Failure>((member, latencies))
    });
    let tasks = committing.map(tokio::spawn).collect::<Vec<_>>();
    let mut all = (Vec::new(), Latencies::new());
    for task in tasks {
        let ended = task.await;
        let (member, latencies) = ended
            .map_err(|error| Failure::failed(format!("a member ended too early: {error}")))??;
        all.0.push(member);
        all.1.add(&latencies);
    }
    Ok(all)
}
