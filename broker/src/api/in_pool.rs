//! Requests about several partitions that may read or write the disk for each, or that are about very many.

use std::sync::Arc;

use super::{Begun, Failure, Response, Services};

/// Items of one request that are looked at while other connections wait.
pub(super) const ITEMS_AT_ONCE: usize = 1_000;

/// Items of one request that a thread of the pool works through before it takes what others wait for.
const ITEMS_IN_TURN: usize = 256;

/// Answers each item on its own, in order, away from the workers. Requests with many items take turns: the pool has few
/// threads, and everybody's cold reads go through them.
pub(super) async fn answer_each<I, T>(
    services: Arc<Services>,
    items: Vec<I>,
    answer: impl Fn(&Services, &I) -> T + Copy + Send + 'static,
) -> Vec<T>
where
    I: Send + 'static,
    T: Send + 'static,
{
    let mut answers = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    loop {
        let turn: Vec<I> = items.by_ref().take(ITEMS_IN_TURN).collect();
        if turn.is_empty() {
            return answers;
        }
        let services = Arc::clone(&services);
        let pool = services.reads.clone();
        let work = move || turn.iter().map(|item| answer(&services, item)).collect::<Vec<_>>();
        answers.extend(pool.run(work).await);
    }
}

/// Answers at once what is about few things, and away from the workers what is about many.
pub(super) fn answer_all(
    services: Arc<Services>,
    things: usize,
    answer: impl FnOnce(&Services) -> Result<Response, Failure> + Send + 'static,
) -> Begun {
    if things <= ITEMS_AT_ONCE {
        return Begun::Done(answer(&services));
    }
    let pool = services.reads.clone();
    Begun::Waiting(Box::pin(async move { pool.run(move || answer(&services)).await }))
}
