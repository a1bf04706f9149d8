//! Members: consumers that share a topic, each with connections of its own.

use std::time::Duration;

use futures_util::future::try_join_all;
use thalweg_client::{Consumer, ConsumerBuilder};

use super::place::{Place, until};
use crate::failure::Failure;

/// What there is not to read is asked for so seldom that it costs nothing.
const FETCH_WAIT: Duration = Duration::from_mins(1);

/// A member that is about to join.
pub(super) fn builder(place: &Place, group: &str, topic: &str) -> Result<ConsumerBuilder, Failure> {
    let consumer = place.client()?.consumer().group(group).subscribe([topic]).manual_commit();
    Ok(consumer.fetch_wait_max(FETCH_WAIT))
}

/// Members of `groups` groups, `members` in each, when all of them have their share of the topic's `partitions`.
pub(super) async fn stable(
    place: &Place,
    topic: &str,
    (groups, members): (usize, usize),
    partitions: usize,
) -> Result<Vec<Consumer>, Failure> {
    let mut joining = Vec::new();
    for group in 0..groups {
        for _ in 0..members {
            joining.push(builder(place, &group_name(group), topic)?.build());
        }
    }
    let mut consumers = try_join_all(joining).await?;
    let (least, most) = (partitions / members, partitions.div_ceil(members));
    until("groups are stable", async || {
        // What is let go is let go by whoever reads.
        for consumer in &mut consumers {
            let _ = tokio::time::timeout(Duration::ZERO, consumer.next_event()).await;
        }
        let shares = consumers.iter().map(|it| it.assignment().len());
        let owned: usize = consumers.iter().map(|it| it.assignment().len()).sum();
        Ok(owned == groups * partitions && shares.into_iter().all(|it| it >= least && it <= most))
    })
    .await?;
    Ok(consumers)
}

/// The name of one of many groups.
pub(super) fn group_name(number: usize) -> String {
    format!("group-{number}")
}
