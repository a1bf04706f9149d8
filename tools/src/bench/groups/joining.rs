//! How long a group takes from nothing until it is stable, when all its members come at once.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use thalweg_client::{GroupEvent, GroupState};
use tokio::task::JoinHandle;

use super::command::GroupsArgs;
use super::figure::Figure;
use super::member;
use super::place::{Place, until};
use crate::clock::Started;
use crate::failure::Failure;

/// Sizes of groups, and the aim of each in seconds.
const SIZES: [(u16, f64); 3] = [(10, 1.0), (100, 1.0), (1_000, 5.0)];

/// Partitions for each member.
const SHARE: usize = 2;

/// How many partitions each member reads.
#[derive(Clone)]
struct Held(Arc<Mutex<Vec<usize>>>);

impl Held {
    fn heard(&self, member: usize, event: &GroupEvent) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = all.get_mut(member) else { return };
        match event {
            GroupEvent::Assigned { partitions } => *held += partitions.len(),
            GroupEvent::Revoked { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                *held = held.saturating_sub(partitions.len());
            }
            _ => {}
        }
    }

    fn is_fair(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().all(|held| *held == SHARE)
    }
}

/// Groups of several sizes, one after the other.
pub(super) async fn measure(args: &GroupsArgs, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let place = Place::open(folder, &[]).await?;
    // The first group of a new broker waits for the topic of all groups to be made, with its shards.
    let first = join(&place, 1).await?;
    let mut figures =
        vec![Figure::new("until the first group of a new broker is stable", first, "s")];
    for (members, aim) in SIZES.into_iter().filter(|(members, _)| *members <= args.members) {
        let seconds = join(&place, usize::from(members)).await?;
        let what = format!("until a group of {members} is stable");
        figures.push(Figure::new(what, seconds, "s").at_most(aim));
    }
    place.kill()?;
    Ok(figures)
}

/// Seconds from the first member's start until each has its share and the coordinator says that the group is stable.
async fn join(place: &Place, members: usize) -> Result<f64, Failure> {
    let name = format!("join-{members}");
    let partitions = i32::try_from(members * SHARE).unwrap_or(i32::MAX);
    place.make_topic(&name, partitions).await?;
    let held = Held(Arc::new(Mutex::new(vec![0; members])));
    let mut builders = Vec::new();
    for member in 0..members {
        let held = held.clone();
        let builder = member::builder(place, &name, &name)?;
        builders.push(builder.on_group_event(move |event| held.heard(member, event)));
    }
    let admin = place.client()?.admin();
    // The clients have not connected yet; the admin has, so that its first question does not count.
    admin.describe_topic(&name).await?;
    let started = Started::now();
    let reading = try_join_all(builders.into_iter().map(|builder| async {
        let mut consumer = builder.build().await?;
        Ok::<JoinHandle<()>, Failure>(tokio::spawn(async move {
            while consumer.next().await.is_some() {}
        }))
    }));
    let reading = reading.await?;
    until("the group is stable", async || {
        Ok(held.is_fair() && admin.describe_group(&name).await?.state == GroupState::Stable)
    })
    .await?;
    let took = started.elapsed();
    for reader in reading {
        reader.abort();
    }
    Ok(took.as_secs_f64())
}
