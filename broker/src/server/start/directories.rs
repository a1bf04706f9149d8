//! Opens the log directories, gives each its threads, and tells readiness how they are.

use std::path::PathBuf;
use std::sync::Arc;

use thalweg_storage::fs::FileSystem;
use thalweg_storage::{DirState, LogDir, LogDirOptions, OpenFiles, Owner};

use super::count;
use super::error::StartError;
use crate::base::{Clock, Readiness, Tasks};
use crate::config::BrokerConfig;
use crate::metrics::{Metrics, amount};
use crate::partition::{Directory, Flusher, FlusherWorker, Preparer, PreparerWorker};

/// Blocks set aside on each disk for checkpoints and deletes.
const RESERVE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The threads of all log directories.
#[derive(Debug, Default)]
pub(in crate::server) struct DirectoryWorkers {
    flushers: Vec<FlusherWorker>,
    preparers: Vec<PreparerWorker>,
}

impl DirectoryWorkers {
    /// Ends them, the flushers last: they sync everything that is dirty.
    pub(in crate::server) fn stop(&mut self) {
        for preparer in self.preparers.drain(..) {
            preparer.stop();
        }
        for flusher in self.flushers.drain(..) {
            flusher.stop();
        }
    }
}

pub(super) fn open_directories(
    fs: &Arc<dyn FileSystem>,
    config: &BrokerConfig,
) -> Result<Vec<Arc<LogDir>>, StartError> {
    let files_max = match config.storage.open_files_max {
        0 => OpenFiles::for_descriptors(descriptors_max()).counts().open_max,
        max => count(max),
    };
    // Each open file may be mapped, so one table keeps both bounds.
    let open_files = OpenFiles::new(files_max.min(count(config.storage.maps_max)));
    let free_bytes_min = config.storage.free_bytes_min.bytes();
    let options = LogDirOptions {
        free_bytes_min,
        reserve_bytes: RESERVE_BYTES_MAX.min(free_bytes_min / 4),
        open_files,
    };
    // The cluster is checked and noted once the metadata has it; see `join`.
    let owner = Owner { node: config.node_id, cluster: None };
    let open = |path: &PathBuf| {
        LogDir::open(Arc::clone(fs), path, &owner, options.clone()).map_err(StartError::from)
    };
    config.data_dirs.iter().map(open).collect()
}

/// How many descriptors this process may have.
fn descriptors_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Gives each log directory its threads.
pub(super) fn run_directories(
    dirs: &[Arc<LogDir>],
    config: &BrokerConfig,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Result<(Vec<Arc<Directory>>, DirectoryWorkers), StartError> {
    let mut directories = Vec::new();
    let mut workers = DirectoryWorkers::default();
    for dir in dirs {
        for ignored in dir.ignored() {
            tracing::warn!(dir = %dir.path().display(), error = %ignored, "checkpoint not believed");
        }
        let figures = metrics.directory(dir.path());
        figures.free_bytes_min.set(amount(config.storage.free_bytes_min.bytes()));
        let threads = count(config.storage.flush_threads);
        let syncs = Arc::clone(&figures.syncs);
        let (flusher, worker) = Flusher::start(dir, threads, Arc::clone(clock), syncs, tasks)
            .map_err(StartError::Thread)?;
        workers.flushers.push(worker);
        let (preparer, worker) = Preparer::start(tasks).map_err(StartError::Thread)?;
        workers.preparers.push(worker);
        directories.push(Arc::new(Directory::new(Arc::clone(dir), flusher, preparer, figures)));
    }
    Ok((directories, workers))
}

/// A directory that takes no writes makes the broker not ready, with the reason.
pub(super) fn watch_directories(directories: &[Arc<Directory>], readiness: &Readiness) {
    for directory in directories {
        let dir = directory.dir();
        let path = dir.path().display().to_string();
        tell(readiness, &path, &dir.state());
        let readiness = readiness.clone();
        dir.subscribe(Box::new(move |state| tell(&readiness, &path, state)));
    }
}

fn tell(readiness: &Readiness, path: &str, state: &DirState) {
    match state {
        DirState::Online => {
            tracing::info!(dir = path, "log directory takes writes");
            readiness.ready(path);
        }
        DirState::ReadOnly { free } => {
            tracing::warn!(dir = path, free, "log directory is read-only: too little free space");
            readiness.not_ready(path, format!("read-only: {free} bytes are free"));
        }
        DirState::Offline { reason } => {
            tracing::error!(dir = path, %reason, "log directory is offline");
            readiness.not_ready(path, format!("offline: {reason}"));
        }
    }
}
