//! Named, supervised tasks and threads: a panic in one is logged, counted and reported, never silent.
//!
//! Owns the tasks of the server: those that accept, those of connections, HTTP; and the threads that look after the logs.
//! Never restarts one: a task that panicked may have left its state half changed, so whoever owns that state decides.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// One task that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The task's name.
    pub name: &'static str,
    /// What it panicked with.
    pub message: String,
}

/// Spawns and watches tasks. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    panics: Arc<AtomicU64>,
    report: Arc<dyn Fn(&TaskFailure) + Send + Sync>,
}

impl Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (running, panics) = (self.running(), self.panics());
        write!(f, "Tasks {{ running: {running}, panics: {panics} }}")
    }
}

impl Tasks {
    /// No task yet; `report` hears of each panic once it was logged.
    pub fn new(report: impl Fn(&TaskFailure) + Send + Sync + 'static) -> Self {
        Self {
            tracker: TaskTracker::new(),
            panics: Arc::new(AtomicU64::new(0)),
            report: Arc::new(report),
        }
    }

    /// Runs `future` under `name` on `runtime`. The answer is `None` when it panicked.
    pub fn spawn<F>(
        &self,
        name: &'static str,
        runtime: &Handle,
        future: F,
    ) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let tasks = self.clone();
        let watched = async move { tasks.watch(name, future).await };
        self.tracker.spawn_on(watched, runtime)
    }

    /// Runs `future` under `name` as a part of the calling task. The answer is `None` when it panicked.
    pub async fn watch<F: Future>(&self, name: &'static str, future: F) -> Option<F::Output> {
        // Nothing of the future is touched again after its panic, so no half-changed state leaks.
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => Some(output),
            Err(panic) => {
                self.panicked(&TaskFailure { name, message: text_of(&*panic) });
                None
            }
        }
    }

    /// Runs `work` on a thread named `name`, which ends by itself. Its panic is counted like a task's; the thread can be
    /// joined all the same.
    pub fn spawn_thread(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<std::thread::JoinHandle<()>> {
        let tasks = self.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // As above: nothing of `work` is touched again.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                tasks.panicked(&TaskFailure { name, message: text_of(&*panic) });
            }
        })
    }

    /// How many tasks have panicked.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// How many tasks are running.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until every task has ended. New ones may still be spawned meanwhile.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn panicked(&self, failure: &TaskFailure) {
        tracing::error!(task = failure.name, message = failure.message, "a task panicked");
        self.panics.fetch_add(1, Ordering::Relaxed);
        (self.report)(failure);
    }
}

/// What a panic says: nearly always a text.
fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_counted_and_reported_and_the_others_go_on() {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reports);
        let runtime = Handle::current();
        let tasks = Tasks::new(move |failure| {
            heard.lock().unwrap().push(failure.clone());
        });
        let bad = tasks.spawn("bad", &runtime, async { panic!("offset {} is wrong", 7) });
        let good = tasks.spawn("good", &runtime, async { 42 });
        assert_eq!(bad.await.unwrap(), None);
        assert_eq!(good.await.unwrap(), Some(42));
        tasks.ended().await;
        assert_eq!((tasks.panics(), tasks.running()), (1, 0));
        let expected = TaskFailure { name: "bad", message: "offset 7 is wrong".to_owned() };
        assert_eq!(*reports.lock().unwrap(), [expected]);
    }

    #[test]
    fn a_panic_of_a_thread_is_counted_and_reported() {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&reports);
        let tasks = Tasks::new(move |failure| heard.lock().unwrap().push(failure.name));
        let thread = tasks.spawn_thread("flusher", || panic!("of the disk")).unwrap();
        thread.join().unwrap();
        tasks.spawn_thread("other", || {}).unwrap().join().unwrap();
        assert_eq!(tasks.panics(), 1);
        assert_eq!(*reports.lock().unwrap(), ["flusher"]);
    }
}
