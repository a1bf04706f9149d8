//! Requests about several partitions that may read or write the disk for each.

use std::sync::Arc;

use super::Services;

/// Answers each item on its own, in order, away from the workers.
pub(super) async fn answer_each<I, T>(
    services: Arc<Services>,
    items: Vec<I>,
    answer: impl Fn(&Services, &I) -> T + Send + 'static,
) -> Vec<T>
where
    I: Send + 'static,
    T: Send + 'static,
{
    let pool = services.reads.clone();
    pool.run(move || items.iter().map(|item| answer(&services, item)).collect()).await
}
