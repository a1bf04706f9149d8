//! What does the log add to a bare positional write of the same bytes, and what does a sync cost on top?
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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
