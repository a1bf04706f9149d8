//! What does a record cost on its way into a batch, through the broker's checks, and out of it again? Beside each
//! stands a copy of the same bytes, as the control.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thalweg_benches::{batch, fill};
use thalweg_protocol::batch::{
    BatchBuilder, BatchLimits, BatchReader, Compression, Scratch, check_produced,
};
use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

fn codec(criterion: &mut Criterion) {
    for (records, value_bytes) in [(10_000, 100), (1_000, 1_024)] {
        let bytes = batch(records, value_bytes);
        let mut group = criterion.benchmark_group(format!("{records} records of {value_bytes} B"));
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function("copy (control)", |bencher| {
            bencher.iter(|| black_box(bytes.to_vec()));
        });
        let value = vec![b'x'; value_bytes];
        let mut builder = BatchBuilder::new(Compression::None, usize::MAX / 2);
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                fill(&mut builder, records, &value);
                black_box(builder.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE))
            });
        });
        let mut scratch = Scratch::default();
        group.bench_function("check", |bencher| {
            bencher.iter(|| check_produced(&bytes, &limits(), &mut scratch).map(black_box));
        });
        group.bench_function("read", |bencher| {
            bencher.iter(|| {
                let batches = BatchReader::new(bytes.clone()).filter_map(Result::ok);
                batches
                    .filter_map(|batch| batch.records().ok())
                    .map(|r| r.iter().count())
                    .sum::<usize>()
            });
        });
        group.finish();
    }
}

fn limits() -> BatchLimits {
    BatchLimits {
        batch_bytes_max: usize::MAX,
        inflated_bytes_max: usize::MAX,
        ratio_max: 1_000,
        timestamp_max: TimestampMs::new(i64::MAX),
        timestamp_min: TimestampMs::new(0),
        keys_required: false,
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
