//! The doer that asks the brokers, round by round, each round with a deadline.

use std::time::Duration;

use thalweg_client::{Admin, AdminError, DescribedGroup};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::sample::{Heard, Sample};
use super::unknown::{self, Unknown};
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
    let (groups, groups_unknown) = match groups {
        Ok((groups, unknown)) => (Ok(groups), unknown),
        Err(error) => (Err(error.to_string()), Vec::new()),
    };
    Ok(Sample { cluster: cluster?, topics: topics?, groups, groups_unknown, at: started.elapsed() })
}

/// The groups that can be listed and described, and what others cannot.
async fn groups(admin: &Admin) -> Result<(Vec<DescribedGroup>, Vec<Unknown>), AdminError> {
    let listing = admin.list_groups(&[]).await?;
    let names: Vec<String> = listing.groups.into_iter().map(|it| it.group).collect();
    let mut described =
        if names.is_empty() { Vec::new() } else { admin.describe_groups(&names).await? };
    let unknown = unknown::by_cause(&listing.missing, &described);
    described.retain(|it| it.error.is_none());
    Ok((described, unknown))
}

/// Two rounds, so that there are rates; a failure is final here.
pub(super) async fn twice(admin: &Admin, interval: Duration) -> Result<[Sample; 2], Failure> {
    let started = Started::now();
    let first = sample(admin, started).await?;
    sleep(interval).await;
    Ok([first, sample(admin, started).await?])
}
