//! What a heartbeat costs the broker: many members that have nothing to read and nothing to commit.

use std::path::Path;
use std::time::Duration;

use super::super::number::share;
use super::command::GroupsArgs;
use super::figure::Figure;
use super::member;
use super::place::Place;
use crate::clock::Started;
use crate::failure::Failure;

const TOPIC: &str = "quiet";

/// A member gives two signs of life a second: in less than this there may be none.
const LOOK_MIN: Duration = Duration::from_secs(2);

/// The broker with its members, beside the same broker without.
pub(super) async fn measure(args: &GroupsArgs, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let look = args.duration.max(LOOK_MIN);
    let place = Place::open(folder, &[]).await?;
    let groups = usize::from(args.groups);
    let each = (usize::from(args.members) / groups).max(1);
    let partitions = 2 * each;
    place.make_topic(TOPIC, i32::try_from(partitions).unwrap_or(i32::MAX)).await?;
    let before = place.read().await?;
    let started = Started::now();
    tokio::time::sleep(look).await;
    let idle =
        share(place.read().await?.since(before).cpu_seconds, started.elapsed().as_secs_f64());
    let members = member::stable(&place, TOPIC, (groups, each), partitions).await?;
    let before = place.read().await?;
    let started = Started::now();
    tokio::time::sleep(look).await;
    let used = place.read().await?.since(before);
    let time = started.elapsed().as_secs_f64();
    let of = format!("{} members in {groups} groups", members.len());
    drop(members);
    place.kill()?;
    let others = used.requests - used.heartbeats;
    Ok(vec![
        Figure::new(format!("heartbeats, {of}"), used.heartbeats / time, "a second"),
        Figure::new("other requests meanwhile", others / time, "a second"),
        Figure::new(
            format!("broker's CPU, {of}"),
            share(used.cpu_seconds * 1e6, used.heartbeats),
            "µs a heartbeat",
        ),
        Figure::new("broker's CPU, all of it", 100.0 * used.cpu_seconds / time, "% of a core"),
        Figure::new("control: the same broker without members", 100.0 * idle, "% of a core"),
    ])
}
