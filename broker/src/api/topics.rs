//! Creates, deletes and alters topics: asks the controller, and waits until the change is in the image and, for
//! new partitions, until this broker serves them.

use std::sync::Arc;

use thalweg_protocol::{ErrorCode, TopicId};
use tokio::time::{Instant, timeout_at};

use super::{Context, Failure, Response, Services};
use crate::cluster::{CreatedTopic, NewTopic, Refusal, TopicChange};

/// Topics to create; each succeeds or fails on its own.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) topics: Vec<NewTopic>,
    pub(crate) validate_only: bool,
}

/// Topics to delete; each succeeds or fails on its own.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) names: Vec<String>,
}

/// Topics to change; each one's changes are made all together or not at all.
#[derive(Debug)]
pub(crate) struct Alter {
    pub(crate) topics: Vec<TopicChange>,
    pub(crate) validate_only: bool,
}

/// What became of the topics to create, in the order of the request.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) topics: Vec<(String, Result<CreatedTopic, Failure>)>,
}

/// What became of each topic, in the order of the request.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) topics: Vec<(String, Result<(), Failure>)>,
}

pub(super) async fn create(
    services: Arc<Services>,
    request: Create,
    context: Context,
) -> Result<Response, Failure> {
    let deadline = Instant::now() + context.timeout;
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let results = services
        .metadata
        .create_topics(request.topics, request.validate_only, context.timeout)
        .await?;
    let mut topics = Vec::with_capacity(names.len());
    for (name, result) in names.into_iter().zip(results) {
        let created = result.map_err(Failure::from);
        if let Ok(topic) = &created
            && !request.validate_only
        {
            wait_until_served(&services, topic.id, deadline).await?;
        }
        topics.push((name, created));
    }
    Ok(Response::CreateTopics(Created { topics }))
}

pub(super) async fn delete(
    services: Arc<Services>,
    request: Delete,
    context: Context,
) -> Result<Response, Failure> {
    let results = services.metadata.delete_topics(request.names.clone(), context.timeout).await?;
    Ok(Response::DeleteTopics(outcomes(request.names, results)))
}

pub(super) async fn alter(
    services: Arc<Services>,
    request: Alter,
    context: Context,
) -> Result<Response, Failure> {
    let deadline = Instant::now() + context.timeout;
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let results = services
        .metadata
        .alter_topics(request.topics, request.validate_only, context.timeout)
        .await?;
    if !request.validate_only {
        for name in &names {
            let id = services.metadata.image().topic_named(name).map(|topic| topic.id);
            if let Some(id) = id {
                wait_until_served(&services, id, deadline).await?;
            }
        }
    }
    Ok(Response::AlterTopics(outcomes(names, results)))
}

fn outcomes<T>(names: Vec<String>, results: Vec<Result<T, Refusal>>) -> Outcomes {
    let outcome = |result: Result<T, Refusal>| result.map(drop).map_err(Failure::from);
    Outcomes { topics: names.into_iter().zip(results.into_iter().map(outcome)).collect() }
}

/// Waits until every partition of the topic is served, or known to be offline, so that a client may use it
/// right after the answer.
async fn wait_until_served(
    services: &Services,
    topic: TopicId,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut carried_out = services.table.watch_carried_out();
    let served = async {
        // Watched from before the first look, so that nothing is missed in between. The table outlives the wait.
        while !is_served(services, topic) && carried_out.changed().await.is_ok() {}
    };
    timeout_at(deadline, served).await.map_err(|_elapsed| {
        Failure::new(
            ErrorCode::OutcomeUnknown,
            format!("topic {topic} is in the metadata, but its partitions are not served yet"),
        )
    })
}

fn is_served(services: &Services, topic: TopicId) -> bool {
    let image = services.metadata.image();
    // A topic that was deleted meanwhile is waited for no more.
    let Some(topic) = image.topic(topic) else { return true };
    let me = services.table.me();
    topic.partitions.iter().all(|partition| {
        let at = thalweg_protocol::TopicPartition::new(topic.id, partition.index);
        partition.replica(me).is_none() || services.table.is_served(at, partition.leader_epoch)
    })
}
