//! How fast does compaction read and rewrite a log, for each codec, next to a bare copy of the same bytes; and what CPU
//! time does it take?
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::cell::RefCell;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, Compression};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    CheckedBatch, CompactionOptions, CompactionRequest, Log, LogDir, LogDirOptions, LogOptions,
    OpenFiles, Owner, PartitionMetadata, compact,
};

const RECORDS: u32 = 400_000;
const IN_A_BATCH: u32 = 200;
/// Each key is written about ten times.
const KEYS: u32 = RECORDS / 10;
const NOW: TimestampMs = TimestampMs::new(1_700_000_000_000);

/// A log of random keys, closed and synced, in a folder of its own.
fn written(codec: Compression) -> Option<(TempDir, Log)> {
    let folder = TempDir::new().ok()?;
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let open_files = OpenFiles::new(64);
    let options = LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files };
    let dir = LogDir::open(Arc::new(OsFileSystem), folder.path(), &owner, options).ok()?;
    let topic = TopicId::from_bytes([1; 16]);
    let at = TopicPartition::new(topic, PartitionIndex::new(0));
    let metadata = PartitionMetadata { topic, name: "keys".to_owned() };
    let options = LogOptions {
        segment_bytes: 16 << 20,
        compaction: Some(CompactionOptions::default()),
        ..LogOptions::default()
    };
    let mut log = Log::create(&dir, at, &metadata, options, NOW).ok()?;
    let mut builder = BatchBuilder::new(codec, 1 << 20);
    let mut state: u32 = 1;
    for number in 0..RECORDS {
        // Any numbers that look random, the same each time.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = (state >> 8) % KEYS;
        let value =
            format!("{{\"key\":{key},\"number\":{number},\"text\":\"some value of a key\"}}");
        builder.try_append(NOW, Some(&key.to_be_bytes()), Some(value.as_bytes()), &[])?;
        if number % IN_A_BATCH == IN_A_BATCH - 1 {
            let bytes = builder.build_unsequenced();
            let batch = CheckedBatch::new(BatchHeader::decode(&bytes).ok()?, bytes);
            log.append(&batch, LeaderEpoch::FIRST, NOW).ok()?;
        }
    }
    log.roll().ok()?;
    log.reader().sync().ok()?;
    Some((folder, log))
}

fn run(log: Log) -> bool {
    let reader = log.reader();
    let request = CompactionRequest {
        high_watermark: reader.log_end(),
        now: NOW,
        memory_bytes_max: 128 << 20,
        is_asked: true,
    };
    let log = RefCell::new(log);
    let with_log = |with: &mut dyn FnMut(&mut Log)| {
        with(&mut log.borrow_mut());
        true
    };
    compact(&reader, &with_log, &request, &mut |_| true).is_ok()
}

/// Reads and writes the same bytes, and syncs them.
fn copy(folder: &TempDir) -> io::Result<()> {
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        for file in fs::read_dir(path).into_iter().flatten() {
            let from = file?.path();
            if from.extension().is_some_and(|end| end == "log") {
                let to = from.with_extension("copy");
                fs::copy(&from, &to)?;
                fs::File::open(&to)?.sync_all()?;
            }
        }
    }
    Ok(())
}

/// CPU time of this process, of all its threads.
fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(spent.tv_sec.unsigned_abs());
    seconds + Duration::from_nanos(spent.tv_nsec.unsigned_abs())
}

fn compaction(criterion: &mut Criterion) {
    for codec in Compression::ALL {
        let Some(bytes) = written(codec).map(|(_, log)| log.reader().bytes_on_disk()) else {
            continue;
        };
        let mut group = criterion.benchmark_group(format!("{codec}, {bytes} B"));
        group.sample_size(10).throughput(Throughput::Bytes(bytes));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("compact", |bencher| {
            bencher.iter_batched(
                || written(codec),
                |made| {
                    let (folder, log) = made?;
                    assert!(run(log), "the benchmark cannot compact its log");
                    Some(folder)
                },
                BatchSize::PerIteration,
            );
        });
        // Bytes for each second of CPU time.
        group.bench_function("compact, CPU time", |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let Some((_folder, log)) = written(codec) else { continue };
                    let before = cpu();
                    assert!(run(log), "the benchmark cannot compact its log");
                    spent += cpu().saturating_sub(before);
                }
                spent
            });
        });
        group.bench_function("bare copy (control)", |bencher| {
            bencher.iter_batched(
                || written(codec),
                |made| made.map(|(folder, _log)| copy(&folder).map(|()| folder)),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, compaction);
criterion_main!(benches);
