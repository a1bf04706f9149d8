//! The disk: writes into the page cache, and writes that are brought to stable storage.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::number::wide;
use super::segments::Segments;
use crate::clock::Started;
use crate::failure::Failure;

/// At most as much is written to warm the memory: pages that the host took back cost many times the usual at first.
pub(super) const WARM_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// A disk that is slow is not waited for.
const WARM_TIME_MAX: Duration = Duration::from_secs(5);

/// One write of the page-cache measurement.
const WRITE_BYTES: usize = 64 * 1024;

/// Has the kernel take pages for a file, and gives them back; what is measured next finds them.
pub(in super::super) async fn warm_memory(folder: &Path, bytes: u64) -> Result<(), Failure> {
    let folder: PathBuf = folder.to_owned();
    let warming = tokio::task::spawn_blocking(move || warm(&folder, bytes, WARM_TIME_MAX));
    let warmed = warming.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    warmed.map_err(|error| Failure::failed(format!("cannot write to the disk: {error}")))
}

/// As [`warm_memory`], at once.
pub(super) fn warm(folder: &Path, bytes: u64, time_max: Duration) -> io::Result<()> {
    let bytes = bytes.min(WARM_BYTES);
    // A disk that is nearly full is not filled for this.
    if free_bytes(folder)? < 4 * bytes {
        return Ok(());
    }
    let files = folder.join("warm");
    std::fs::create_dir(&files)?;
    let written = page_cache(&files, "warm", bytes, time_max);
    std::fs::remove_dir_all(&files)?;
    written.map(drop)
}

pub(super) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Writes `bytes` into new files; answers the bytes written and the time.
pub(super) fn page_cache(
    folder: &Path,
    name: &str,
    bytes: u64,
    time_max: Duration,
) -> io::Result<(u64, Duration)> {
    let mut segments = Segments::new(folder, name, bytes, bytes)?;
    let piece = vec![1; WRITE_BYTES];
    let started = Started::now();
    let mut written = 0;
    while written < bytes && started.elapsed() < time_max {
        segments.append(&piece)?;
        written += wide(WRITE_BYTES);
    }
    Ok((written, started.elapsed()))
}

/// Writes groups of this size and syncs each, one after the other; answers the bytes written and the time.
pub(super) fn synced(
    folder: &Path,
    group_bytes: usize,
    bytes: u64,
    time_max: Duration,
) -> io::Result<(u64, Duration)> {
    let name = format!("synced-{group_bytes}");
    let mut segments = Segments::new(folder, &name, bytes, bytes)?;
    let group = vec![1; group_bytes];
    let started = Started::now();
    let mut written = 0;
    while written < bytes && started.elapsed() < time_max {
        segments.append(&group)?;
        segments.sync()?;
        written += wide(group_bytes);
    }
    Ok((written, started.elapsed()))
}
