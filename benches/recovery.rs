//! How long does a restart take for one log after an unclean stop, by what lies above its recovery point? Below it no byte
//! is looked at, so a log with nothing above it is the control.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thalweg_benches::{Place, append, batch, open_log};
use thalweg_protocol::{Offset, TimestampMs};
use thalweg_storage::{Believed, Log, LogOptions};

const BATCHES: usize = 1_024;
const RECORDS: usize = 64;

fn recovery(criterion: &mut Criterion) {
    let bytes = batch(RECORDS, 1_000);
    let Some(mut place) = open_log() else { return };
    append(&mut place.log, &bytes, BATCHES);
    let reader = place.log.reader();
    assert!(reader.sync().is_ok(), "the benchmark cannot sync its log");
    let end = reader.log_end();
    let Place { log, dir, partition, .. } = &place;
    let options = LogOptions::default();
    let mut group = criterion.benchmark_group("open after an unclean stop");
    group.sample_size(10);
    for tail in [0, 16, BATCHES] {
        let point = Offset::new(end.get() - i64::try_from(tail * RECORDS).unwrap_or(0));
        let believed = Believed { recovery_point: point, ..Believed::from_dir(dir, *partition) };
        group.throughput(Throughput::Bytes((tail * bytes.len()) as u64));
        let name = format!("{tail} batches of {} B above the recovery point", bytes.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let opened = Log::open_believing(
                    dir,
                    *partition,
                    options.clone(),
                    &believed,
                    TimestampMs::new(1_000),
                );
                assert!(opened.is_ok_and(|(opened, _)| opened.log_end() == log.log_end()));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, recovery);
criterion_main!(benches);
