//! A small, bounded pool for reads that may wait for the disk, so that no worker does.

use std::sync::Arc;

use metrics::Gauge;
use tokio::sync::Semaphore;

use crate::metrics::UnderWay;

/// Runs blocking reads, a few at a time; the others wait for their turn.
#[derive(Clone, Debug)]
pub(crate) struct ReadPool {
    permits: Arc<Semaphore>,
    reads: Gauge,
}

impl ReadPool {
    /// A pool of `size` reads at a time; `reads` shows these and those that wait.
    pub(crate) fn new(size: usize, reads: Gauge) -> Self {
        Self { permits: Arc::new(Semaphore::new(size)), reads }
    }

    /// Runs `read` away from the workers.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let counted = UnderWay::new(&self.reads);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("the pool is never closed");
        // The read goes on when its request is dropped, so it keeps its place itself.
        let held = move || {
            let value = read();
            drop((permit, counted));
            value
        };
        match tokio::task::spawn_blocking(held).await {
            Ok(value) => value,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}
