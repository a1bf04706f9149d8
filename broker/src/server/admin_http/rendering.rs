//! One rendering of the figures at a time, shared by all who asked before it began.
//!
//! With many partitions it takes some MiB and some milliseconds. Whoever asks without end gets at most half of one core,
//! and one text in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last text, and what it took to make it.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    begun: AtomicU64,
    last: Arc<Mutex<Rendered>>,
}

#[derive(Debug, Default)]
struct Rendered {
    number: u64,
    text: Bytes,
    /// When the next one may begin: the machine has had as long for others.
    next: Option<Instant>,
}

impl Rendering {
    /// A text whose making began after this was asked; nothing when that failed, which is logged.
    pub(super) async fn text(
        &self,
        render: impl FnOnce() -> String + Send + 'static,
    ) -> Option<Bytes> {
        let begun = self.begun.load(Ordering::Acquire);
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if last.number > begun {
            return Some(last.text.clone());
        }
        if let Some(next) = last.next {
            tokio::time::sleep_until(next).await;
        }
        last.number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        // Disks are asked for their space, and a disk may not answer: control traffic must not wait for it. The turn ends
        // with the rendering, also when nobody waits for it any more.
        let rendered = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            last.text = Bytes::from(render());
            let ended = Instant::now();
            last.next = Some(ended + (ended - began));
            last.text.clone()
        });
        match rendered.await {
            Ok(text) => Some(text),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be shown");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_while_one_is_made_shares_the_next() {
        let rendering = Arc::new(Rendering::default());
        let made = Arc::new(AtomicUsize::new(0));
        let (go_on, wait) = channel();
        let first = {
            let (rendering, made) = (Arc::clone(&rendering), Arc::clone(&made));
            tokio::spawn(async move {
                let render = move || {
                    wait.recv().unwrap();
                    format!("text {}", made.fetch_add(1, Ordering::Relaxed))
                };
                rendering.text(render).await
            })
        };
        while rendering.begun.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let others = join_all((0..10).map(|_| {
            let made = Arc::clone(&made);
            rendering.text(move || format!("text {}", made.fetch_add(1, Ordering::Relaxed)))
        }));
        tokio::pin!(others);
        assert!(futures_util::poll!(&mut others).is_pending());
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), "text 0");
        assert!(others.await.iter().all(|text| text.as_deref() == Some(b"text 1")));
        // Who asks later never gets what was made before.
        assert_eq!(rendering.text(|| "text 2".to_owned()).await.unwrap(), "text 2");
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_rendering_that_panics_is_told_and_the_next_one_is_made() {
        let rendering = Rendering::default();
        assert_eq!(rendering.text(|| panic!("no figures")).await, None);
        assert_eq!(rendering.text(|| "again".to_owned()).await.unwrap(), "again");
    }
}
