//! The doer that asks the brokers, round by round, each round with a deadline.

use std::time::Duration;

use thalweg_client::{Admin, AdminError, DescribedGroup};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::sample::{Heard, Sample};
use crate::clock::Started;
use crate::failure::Failure;

/// Asks until nobody listens any more. The channel is bounded: a slow screen makes the rounds slower.
pub(super) async fn rounds(
    admin: Admin,
    started: Started,
    (interval, deadline): (Duration, Duration),
    heard: mpsc::Sender<Heard>,
) {
    loop {
        let round = match timeout(deadline, sample(&admin, started)).await {
            Ok(Ok(sample)) => Heard::Sample(Box::new(sample)),
            Ok(Err(error)) => Heard::Silence { reason: error.to_string() },
            Err(_) => Heard::Silence { reason: format!("no answer within {deadline:?}") },
        };
        if heard.send(round).await.is_err() {
            return;
        }
        sleep(interval).await;
    }
}

/// One round.
pub(super) async fn sample(admin: &Admin, started: Started) -> Result<Sample, AdminError> {
    let (cluster, topics, groups) =
        tokio::join!(admin.describe_cluster(), admin.describe_topics(), groups(admin));
    let (groups, groups_missing) = match groups {
        Ok((groups, missing)) => (Ok(groups), missing),
        Err(error) => (Err(error.to_string()), None),
    };
    Ok(Sample { cluster: cluster?, topics: topics?, groups, groups_missing, at: started.elapsed() })
}

/// The groups that can be listed, and why others cannot.
async fn groups(admin: &Admin) -> Result<(Vec<DescribedGroup>, Option<String>), AdminError> {
    let listing = admin.list_groups(&[]).await?;
    let missing = listing.missing.into_iter().map(|it| it.error.message).next();
    let names: Vec<String> = listing.groups.into_iter().map(|it| it.group).collect();
    if names.is_empty() {
        return Ok((Vec::new(), missing));
    }
    let described = admin.describe_groups(&names).await?;
    // One that was deleted in between comes with its error.
    let known = described.into_iter().filter(|it| it.error.is_none());
    Ok((known.collect(), missing))
}

/// Two rounds, so that there are rates; a failure is final here.
pub(super) async fn twice(admin: &Admin, interval: Duration) -> Result<[Sample; 2], Failure> {
    let started = Started::now();
    let first = sample(admin, started).await?;
    sleep(interval).await;
    Ok([first, sample(admin, started).await?])
}
