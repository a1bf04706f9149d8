//! The thread that makes ready what the writers of one directory's logs will need next: blocks behind the ends of their
//! segments, and the files of the next ones.
//!
//! An append says that its log wants something and goes on. When the thread is late, or its queue full, a later append
//! does the work itself: slower, and nothing else. A thread of its own, because maintenance may be busy with retention for
//! seconds and a busy log fills a step of its reserve in milliseconds.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::partition::Partition;
use crate::base::Tasks;

/// Logs that wait at most; the next one is left to its own append.
const WAITING_MAX: usize = 1_024;

/// Tells the preparer of one directory which logs want something. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Preparer {
    queue: SyncSender<Next>,
}

/// The preparer's thread; ends with [`PreparerWorker::stop`].
#[derive(Debug)]
pub struct PreparerWorker {
    queue: SyncSender<Next>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Next {
    Log(Arc<Partition>),
    Stop,
}

impl Preparer {
    /// Starts the thread; `tasks` hears of its panic.
    pub fn start(tasks: &Tasks) -> io::Result<(Self, PreparerWorker)> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let thread = tasks.spawn_thread("preparer", move || run(&waiting))?;
        Ok((Self { queue: queue.clone() }, PreparerWorker { queue, thread: Some(thread) }))
    }

    /// The log of `partition` wants something.
    pub(super) fn wanted(&self, partition: &Arc<Partition>) {
        // A full queue, or a thread that is gone: the append does it, and the metric shows it.
        drop(self.queue.try_send(Next::Log(Arc::clone(partition))));
    }
}

impl PreparerWorker {
    /// Ends the thread once it has done what waits.
    pub fn stop(mut self) {
        // Nobody listens after a panic, which was counted and logged.
        drop(self.queue.send(Next::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(waiting: &Receiver<Next>) {
    while let Ok(Next::Log(partition)) = waiting.recv() {
        partition.reader().prepare();
    }
}
