//! What does it cost to find and hand out what a reader asks for, beside a positional read of as many bytes into a
//! buffer? The log hands out slices of a map: finding them is all that it does, however many bytes they are.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thalweg_benches::{append, batch, open_log};
use thalweg_protocol::Offset;

/// The log: enough for an index with many entries, and it stays in the page cache.
const BATCHES: usize = 4_096;
const RECORDS: usize = 16;

fn fetch(criterion: &mut Criterion) {
    let Some(mut place) = open_log() else { return };
    let bytes = batch(RECORDS, 1_000);
    append(&mut place.log, &bytes, BATCHES);
    let reader = place.log.reader();
    let end = reader.log_end();
    for read_bytes in [16 * 1024, 256 * 1024, 4 * 1024 * 1024] {
        let mut group = criterion.benchmark_group(format!("reads of {} KiB", read_bytes / 1024));
        group.throughput(Throughput::Bytes(read_bytes as u64));
        read_into_buffer(&mut group, read_bytes);
        // Far apart, so that each read finds its place anew.
        let mut from = Offset::ZERO;
        group.bench_function("log read", |bencher| {
            bencher.iter(|| {
                let read = reader.read(from, read_bytes, end, true);
                from = from.plus(40_009);
                if from >= end {
                    from = Offset::new(from.get() - end.get());
                }
                black_box(read.map(|read| read.bytes().len()))
            });
        });
        let mut from = Offset::ZERO;
        group.bench_function("log read, one after the other", |bencher| {
            bencher.iter(|| {
                let read = reader.read(from, read_bytes, end, true);
                from = read.as_ref().map_or(Offset::ZERO, thalweg_storage::Read::next);
                if from >= end {
                    from = Offset::ZERO;
                }
                black_box(read.map(|read| read.bytes().len()))
            });
        });
        group.finish();
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn read_into_buffer(group: &mut Group<'_>, read_bytes: usize) {
    const FILE_BYTES: usize = 64 * 1024 * 1024;
    let Ok(mut file) = tempfile::tempfile() else { return };
    if file.write_all(&vec![1; FILE_BYTES]).is_err() {
        return;
    }
    let mut buffer = vec![0; read_bytes];
    let mut position = 0;
    group.bench_function("bare read into a buffer (control)", |bencher| {
        bencher.iter(|| {
            let read = file.read_exact_at(&mut buffer, position as u64);
            position = (position + 10 * read_bytes) % (FILE_BYTES - read_bytes);
            read
        });
    });
}

criterion_group!(benches, fetch);
criterion_main!(benches);
