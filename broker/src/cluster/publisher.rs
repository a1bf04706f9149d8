//! Makes a new image the current one, and tells those who act on it, always in the same order.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::delta::Delta;
use super::image::Image;

/// Hears of every new image: the one before, the new one, and what changed. Runs on the metadata thread: it
/// must return soon and must not wait for an answer of the metadata handle, which that same thread gives.
pub(super) type Watcher = Box<dyn FnMut(&Arc<Image>, &Arc<Image>, &Delta) + Send>;

/// Holds the current image. Only one thread publishes; everybody reads.
pub struct Publisher {
    current: Arc<ArcSwap<Image>>,
    watchers: Vec<(&'static str, Watcher)>,
    newest: watch::Sender<Arc<Image>>,
}

impl Publisher {
    /// Starts from `image`.
    pub fn new(image: Arc<Image>) -> Self {
        Self {
            current: Arc::new(ArcSwap::new(Arc::clone(&image))),
            watchers: Vec::new(),
            newest: watch::Sender::new(image),
        }
    }

    /// Adds a watcher behind those that are there; `name` tells them apart in logs. It hears of every image
    /// after the one that the publisher started from. It runs on the metadata thread: it must return soon
    /// and must not wait for an answer of the metadata handle, which that same thread gives.
    #[must_use]
    pub fn watched_by(
        mut self,
        name: &'static str,
        watcher: impl FnMut(&Arc<Image>, &Arc<Image>, &Delta) + Send + 'static,
    ) -> Self {
        self.watchers.push((name, Box::new(watcher)));
        self
    }

    /// Swaps the image, then wakes the watchers in order, then those who only await a newer image.
    pub(super) fn publish(&mut self, image: Arc<Image>) {
        let before = self.current.swap(Arc::clone(&image));
        assert!(before.index() < image.index(), "images are published in the order of the log");
        let delta = Delta::between(&before, &image);
        for (_, watcher) in &mut self.watchers {
            watcher(&before, &image, &delta);
        }
        self.newest.send_replace(image);
    }

    /// Where readers find the current image.
    pub(super) fn current(&self) -> Arc<ArcSwap<Image>> {
        Arc::clone(&self.current)
    }

    /// Wakes with each newer image; those in between may be skipped.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Image>> {
        self.newest.subscribe()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.watchers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Publisher").field("watchers", &names).finish_non_exhaustive()
    }
}
