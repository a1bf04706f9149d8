//! Who leads what: answered from the local image alone.

use std::sync::Arc;

use thalweg_protocol::{ErrorCode, TopicId};

use super::{Context, Failure, Services};
use crate::cluster::{Image, Topic};

/// Which topics: by name, or all when no names are given; and by id on top.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) ids: Vec<TopicId>,
}

impl Request {
    /// How many topics it names; all of them count as none, since they are only handed on.
    pub(super) fn things(&self) -> usize {
        self.names.as_ref().map_or(0, Vec::len) + self.ids.len()
    }
}

/// The image, and what it says of each topic that was asked for.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) image: Arc<Image>,
    pub(crate) listener: Arc<str>,
    pub(crate) topics: Vec<Result<Arc<Topic>, Missing>>,
}

/// A topic that is not there, as it was asked for.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    pub(crate) failure: Failure,
}

/// Looks the topics up.
pub(super) fn answer(
    services: &Services,
    request: &Request,
    context: &Context,
) -> Result<Response, Failure> {
    let image = services.metadata.image();
    let mut topics = by_name(&image, request.names.as_deref());
    topics.extend(request.ids.iter().map(|id| {
        image.topic(*id).cloned().ok_or_else(|| Missing {
            name: String::new(),
            id: *id,
            failure: Failure::new(
                ErrorCode::UnknownTopic,
                format!("there is no topic with id {id}"),
            ),
        })
    }));
    check_size(services, topics.iter().map(|topic| size(topic, 0)))?;
    Ok(Response { image, listener: Arc::clone(&context.listener), topics })
}

/// About how many bytes the answer about a topic takes, with so many for each of its settings.
pub(super) fn size(topic: &Result<Arc<Topic>, Missing>, setting_bytes: usize) -> usize {
    match topic {
        Ok(topic) => {
            let replicas = topic.partitions.first().map_or(0, |first| first.replicas.len());
            let partition = PARTITION_BYTES + replicas * REPLICA_BYTES;
            TOPIC_BYTES + topic.partitions.len() * partition + setting_bytes
        }
        Err(missing) => TOPIC_BYTES + missing.name.len() + missing.failure.message.len(),
    }
}

/// What stands in an answer for a topic, for each of its partitions, and for each replica of these; on the large side.
const TOPIC_BYTES: usize = 64;
const PARTITION_BYTES: usize = 64;
const REPLICA_BYTES: usize = 16;

/// Refuses an answer that would be too large, before it is made: a short request may name a large topic very often.
pub(super) fn check_size(
    services: &Services,
    sizes: impl Iterator<Item = usize>,
) -> Result<(), Failure> {
    let bytes_max = services.config.limits.answer_bytes_max;
    let bytes = sizes.fold(0, usize::saturating_add);
    if u64::try_from(bytes).unwrap_or(u64::MAX) <= bytes_max.bytes() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::InvalidRequest,
        format!(
            "the answer would take about {bytes} bytes, limits.answer_bytes_max allows {bytes_max}; ask for fewer topics at a time"
        ),
    ))
}

/// The topics of these names, or all.
pub(super) fn by_name(image: &Image, names: Option<&[String]>) -> Vec<Result<Arc<Topic>, Missing>> {
    let Some(names) = names else {
        return image.topics().map(|topic| Ok(Arc::clone(topic))).collect();
    };
    let find = |name: &String| {
        image.topic_named(name).cloned().ok_or_else(|| Missing {
            name: name.clone(),
            id: TopicId::NONE,
            failure: Failure::new(ErrorCode::UnknownTopic, format!("there is no topic {name:?}")),
        })
    };
    names.iter().map(find).collect()
}
