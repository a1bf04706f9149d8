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
pub(super) fn answer(services: &Services, request: &Request, context: &Context) -> Response {
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
    Response { image, listener: Arc::clone(&context.listener), topics }
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
