//! How long a broker takes to load committed offsets after it was killed.

use std::path::Path;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use thalweg_client::{CommitOffset, Offset};

use super::super::number::wide;
use super::command::GroupsArgs;
use super::figure::Figure;
use super::member::group_name;
use super::place::{Place, until};
use crate::clock::Started;
use crate::failure::Failure;

const TOPIC: &str = "offsets";

/// Partitions, so offsets of each group.
const PARTITIONS: i32 = 1_000;

/// Groups that commit at a time.
const AT_A_TIME: usize = 16;

/// One shard that has all groups, and as many shards as a broker makes when nobody says otherwise.
const SHARDS: [u16; 2] = [1, 50];

/// The aim, in seconds.
const AIM: f64 = 3.0;

/// Commits, kills, starts again.
pub(super) async fn measure(args: &GroupsArgs, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for shards in SHARDS {
        let folder = folder.join(format!("shards-{shards}"));
        let made = std::fs::create_dir(&folder);
        made.map_err(|error| Failure::failed(format!("cannot make a folder: {error}")))?;
        figures.extend(load(args.offsets, shards, &folder).await?);
    }
    Ok(figures)
}

async fn load(offsets: u32, shards: u16, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let settings = [format!("groups.offsets_partitions={shards}")];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let groups = usize::try_from(offsets)
        .unwrap_or(usize::MAX)
        .div_ceil(usize::try_from(PARTITIONS).unwrap_or(usize::MAX));
    let place = Place::open(folder, &settings).await?;
    place.make_topic(TOPIC, PARTITIONS).await?;
    let admin = place.client()?.admin();
    let committing = iter(0..groups).map(|group| {
        let admin = &admin;
        let all = (0..PARTITIONS).map(|it| CommitOffset::new(TOPIC, it, Offset::ZERO));
        async move { admin.commit_group_offsets(&group_name(group), all).await }
    });
    committing.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    place.kill()?;

    let started = Started::now();
    let place = Place::open(folder, &settings).await?;
    let serving = started.elapsed();
    until("all shards are loaded", async || {
        Ok(place.read().await?.shard_loads >= f64::from(shards))
    })
    .await?;
    let loaded = started.elapsed();
    let read = place.read().await?;
    // Every one of them is there, else the time says nothing.
    let admin = place.client()?.admin();
    let mut found = 0;
    for group in 0..groups {
        found += wide(admin.group_offsets(&group_name(group)).await?.len());
    }
    let wanted = wide(groups) * u64::from(PARTITIONS.unsigned_abs());
    if found != wanted {
        return Err(Failure::failed(format!("{found} of {wanted} offsets are there")));
    }
    place.kill()?;
    let of =
        format!("{wanted} offsets in {shards} {}", if shards == 1 { "shard" } else { "shards" });
    Ok(vec![
        Figure::new(format!("from the start until it serves, {of}"), serving.as_secs_f64(), "s"),
        Figure::new(format!("from the start until all is loaded, {of}"), loaded.as_secs_f64(), "s")
            .at_most(AIM),
        Figure::new(format!("broker's CPU until then, {of}"), read.cpu_seconds, "s"),
        Figure::new(format!("records read, {of}"), read.shard_load_records, "records"),
    ])
}
