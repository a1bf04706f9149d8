//! What does the log add to a bare positional write of the same bytes, and what does a sync cost on top? And what if bytes
//! were stored through a writable map instead, while the kernel leaves the file alone, and while it writes it back?
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memmap2::MmapRaw;
use thalweg_benches::{batch, open_log};
use thalweg_protocol::batch::BatchHeader;
use thalweg_protocol::{LeaderEpoch, TimestampMs};
use thalweg_storage::{CheckedBatch, Log};

/// So many bytes go into one file before it begins anew: within what the page cache takes without a pause.
const FILE_BYTES: u64 = 256 * 1024 * 1024;

fn append(criterion: &mut Criterion) {
    for (records, value_bytes) in [(1, 1_000), (16, 1_000), (64, 1_000), (1_000, 1_000)] {
        let bytes = batch(records, value_bytes);
        let mut group = criterion.benchmark_group(format!("batches of {} B", bytes.len()));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        bare_write(&mut group, &bytes);
        for is_written_back in [false, true] {
            write_or_store(&mut group, &bytes, is_written_back);
        }
        write_to_new_pages(&mut group, &bytes);
        log_append(&mut group, &bytes);
        group.finish();
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn bare_write(group: &mut Group<'_>, bytes: &Bytes) {
    let Ok(file) = tempfile::tempfile() else { return };
    let mut position = 0;
    group.bench_function("bare write (control)", |bencher| {
        bencher.iter(|| {
            position = if position > FILE_BYTES { 0 } else { position };
            let written = file.write_all_at(bytes, position);
            position += bytes.len() as u64;
            written
        });
    });
    sync_after(group, "bare write and sync (control)", |()| {
        file.write_all_at(bytes, 0).and_then(|()| File::sync_data(&file)).is_ok()
    });
}

/// What a log's append is compared with: it, too, always writes behind the end of its file, and begins anew as often.
fn write_to_new_pages(group: &mut Group<'_>, bytes: &Bytes) {
    let Ok(file) = tempfile::tempfile() else { return };
    let mut position = 0;
    group.bench_function("write behind the end (control)", |bencher| {
        bencher.iter(|| {
            if position > FILE_BYTES {
                position = 0;
                file.set_len(0)?;
            }
            let written = file.write_all_at(bytes, position);
            position += bytes.len() as u64;
            written
        });
    });
}

/// A file whose pages and blocks are there, so that neither way pays for them.
fn warm_file() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..FILE_BYTES / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Brings a file to the disk all the time, until it is dropped.
struct WriteBack {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WriteBack {
    fn of(file: &File) -> io::Result<Self> {
        let (file, stop) = (file.try_clone()?, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let run = move || {
            while !stopped.load(Ordering::Relaxed) && file.sync_data().is_ok() {}
        };
        Ok(Self { stop, thread: Some(std::thread::spawn(run)) })
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The same bytes into the same file, by a positional write and by a store through a map.
fn write_or_store(group: &mut Group<'_>, bytes: &Bytes, is_written_back: bool) {
    let Ok(file) = warm_file() else { return };
    let Ok(map) = MmapRaw::map_raw(&file) else { return };
    let writing_back = is_written_back.then(|| WriteBack::of(&file));
    let regime = if is_written_back { ", under write-back" } else { "" };
    let mut position = 0;
    let mut next = || {
        position += bytes.len();
        if position + bytes.len() > map.len() {
            position = 0;
        }
        position
    };
    group.bench_function(format!("write into a warm file{regime}"), |bencher| {
        bencher.iter(|| file.write_all_at(bytes, next() as u64));
    });
    group.bench_function(format!("store through a map{regime}"), |bencher| {
        bencher.iter(|| store(&map, next(), bytes));
    });
    drop(writing_back);
}

#[expect(unsafe_code, reason = "a store through a map is what is measured")]
fn store(map: &MmapRaw, position: usize, bytes: &[u8]) {
    assert!(position + bytes.len() <= map.len(), "a store beyond the map");
    // SAFETY: The range lies within the map, as was just asserted; its file is this benchmark's own and never shrinks;
    // and nobody holds a reference into the map.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.as_mut_ptr().add(position), bytes.len());
    }
}

fn log_append(group: &mut Group<'_>, bytes: &Bytes) {
    let Some(mut place) = open_log() else { return };
    let log = &mut place.log;
    let Ok(header) = BatchHeader::decode(bytes) else { return };
    let checked = CheckedBatch::new(header, bytes.clone());
    let reader = log.reader();
    group.bench_function("log append", |bencher| {
        bencher.iter(|| append_one(log, &checked));
    });
    sync_after(group, "log append and sync", |()| {
        append_one(log, &checked) && reader.sync().is_ok()
    });
}

/// Appends a batch; what was appended before goes when it has grown too much.
fn append_one(log: &mut Log, batch: &CheckedBatch) -> bool {
    if log.reader().bytes_on_disk() > FILE_BYTES {
        let emptied = log.roll().and_then(|()| log.delete_below(log.log_end()));
        assert!(emptied.is_ok(), "the benchmark cannot empty its log");
    }
    log.append(batch, LeaderEpoch::FIRST, TimestampMs::new(1_000)).is_ok()
}

fn sync_after(group: &mut Group<'_>, name: &str, mut step: impl FnMut(()) -> bool) {
    group.bench_function(name, |bencher| bencher.iter(|| step(())));
}

criterion_group!(benches, append);
criterion_main!(benches);
