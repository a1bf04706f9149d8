//! Which broker keeps a group: the one that leads the group's shard.

use thalweg_protocol::{BrokerId, ErrorCode, PartitionIndex};

use crate::api::{Context, Failure, Services};

/// Where a group's coordinator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CoordinatorAt {
    /// The partition of `__consumer_offsets` that holds the group.
    pub(crate) shard: PartitionIndex,
    /// The broker that leads it.
    pub(crate) broker: BrokerId,
    /// Where the clients of the request's listener reach it.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

/// The first question about any group makes `__consumer_offsets`.
pub(super) async fn answer(
    services: &Services,
    names: Vec<String>,
    context: &Context,
) -> Vec<(String, Result<CoordinatorAt, Failure>)> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let at = find(services, &name, context).await;
        found.push((name, at));
    }
    found
}

async fn find(
    services: &Services,
    group: &str,
    context: &Context,
) -> Result<CoordinatorAt, Failure> {
    let (shard, broker) = services.groups.leader_of(group, context.timeout).await?;
    let image = services.metadata.image();
    let endpoint = image.broker(broker).and_then(|broker| broker.endpoint(&context.listener));
    let endpoint = endpoint.ok_or_else(|| {
        Failure::new(
            ErrorCode::LeaderNotAvailable,
            format!("group {group:?}: nobody leads shard {shard} of __consumer_offsets now"),
        )
    })?;
    Ok(CoordinatorAt { shard, broker, host: endpoint.host.clone(), port: endpoint.port })
}
