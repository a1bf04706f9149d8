//! What hostile clients cost a good one: rate and latency with and without them, in turn, five times.
//!
//! Figures, not assertions: they go into `docs/testing.md`. They need a quiet machine and an optimised build:
//! `MEASURE=1 cargo test --release -p thalweg --all-features --test hostile measure -- --nocapture --test-threads 1`.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use thalweg_client::{Acks, Client, Record, StartAt};
use tokio::runtime::Runtime;

use crate::arsenal::Arsenal;
use crate::attacker::{Orders, attack};
use crate::good::{self, Figures, TARGET, TOPIC, at_full_speed, at_rate};
use crate::raw::Raw;
use crate::readers::{fetch, stuff};
use crate::storm::SETTINGS;
use crate::support::{Broker, number, say};

const ROUNDS: usize = 5;

/// Of 1,000 bytes each: a third of what the slowest machine of ours does.
const RATE: u32 = 2_000;

const PART: Duration = Duration::from_secs(4);

const HOSTILE_FRAMES_PER_SECOND: u32 = 2_000;

const STALLED_READERS: usize = 1_000;

/// Cold data that a reader asks for.
const BACKFILL_BYTES: usize = 1 << 30;

/// Whether figures are wanted; says so when not.
fn is_wanted(what: &str) -> bool {
    let wanted = number("MEASURE").is_some();
    if !wanted {
        say(&format!("MEASURE DID NOT RUN ({what}): it wants a quiet machine; set MEASURE=1"));
    }
    wanted
}

struct Place {
    temp: tempfile::TempDir,
    broker: Broker,
    runtime: Runtime,
    client: Client,
}

fn place(settings: &[&str]) -> Place {
    let temp = tempfile::tempdir().unwrap();
    let broker = Broker::start_set(&temp.path().join("data"), settings, &[]);
    let (runtime, client) = (good::runtime(), good::client(&broker));
    runtime.block_on(async {
        good::create(&client, TOPIC, &[("retention.bytes", "2000000000")]).await;
        good::create(&client, TARGET, &[("segment.bytes", "67108864")]).await;
    });
    Place { temp, broker, runtime, client }
}

#[derive(Default)]
struct Side {
    p99_us: Vec<u64>,
    full_speed: Vec<f64>,
}

impl Side {
    fn measure(&mut self, place: &Place, full_speed: bool) {
        let at_rate: Figures = place.runtime.block_on(at_rate(&place.client, RATE, PART));
        self.p99_us.push(at_rate.p99_us());
        if full_speed {
            let fast = place.runtime.block_on(at_full_speed(&place.client, PART));
            self.full_speed.push(fast.per_second());
        }
    }

    fn report(mut self, what: &str) {
        self.p99_us.sort_unstable();
        self.full_speed.sort_by(f64::total_cmp);
        let (p99, fast) = (&self.p99_us, &self.full_speed);
        let middle = p99.len() / 2;
        say(&format!(
            "MEASURE {what}: p99 at {RATE}/s {} us ({} to {})",
            p99[middle],
            p99[0],
            p99[p99.len() - 1]
        ));
        if let (Some(first), Some(last)) = (fast.first(), fast.last()) {
            say(&format!(
                "MEASURE {what}: at full speed {:.0} records/s ({first:.0} to {last:.0})",
                fast[middle]
            ));
        }
    }
}

#[test]
fn measure_hostile_frames_beside_a_good_client() {
    if !is_wanted("hostile frames") {
        return;
    }
    let place = place(SETTINGS);
    let target = place.runtime.block_on(place.client.admin().describe_topic(TARGET)).unwrap().id;
    let arsenal = Arsenal::new(target);
    let (mut without, mut with, mut frames) = (Side::default(), Side::default(), 0);
    for round in 0..ROUNDS {
        without.measure(&place, true);
        let orders = Orders::paced(HOSTILE_FRAMES_PER_SECOND);
        std::thread::scope(|scope| {
            let (orders, arsenal, address) = (&orders, &arsenal, &place.broker.address);
            let seed = u64::try_from(round).unwrap() + 1;
            let attacker = scope.spawn(move || attack(address, arsenal, orders, seed));
            with.measure(&place, true);
            orders.stop();
            frames += attacker.join().unwrap().total();
        });
    }
    without.report("without hostile frames");
    with.report(&format!("with {HOSTILE_FRAMES_PER_SECOND} hostile frames/s ({frames} in all)"));
}

#[test]
fn measure_stalled_readers_beside_a_good_client() {
    if !is_wanted("stalled readers") {
        return;
    }
    let settings = [
        "limits.slow_reader_ms_max=10m",
        "limits.connections_per_address_max=2000",
        "log.level=error",
    ];
    let place = place(&settings);
    fill(&place, 8 << 20);
    let target = place.runtime.block_on(place.client.admin().describe_topic(TARGET)).unwrap().id;
    let asked = fetch(target, 1 << 20).repeat(100);
    let (mut without, mut with) = (Side::default(), Side::default());
    let (before_kib, mut largest_kib) = (place.broker.anonymous_kib().unwrap(), 0);
    for _ in 0..ROUNDS {
        without.measure(&place, true);
        let stalled = |_| {
            let mut raw = Raw::open(&place.broker.address).unwrap();
            stuff(&mut raw, &asked, asked.len()).unwrap();
            raw
        };
        let readers: Vec<Raw> = (0..STALLED_READERS).map(stalled).collect();
        with.measure(&place, true);
        largest_kib = largest_kib.max(place.broker.anonymous_kib().unwrap());
        drop(readers);
        place
            .broker
            .metrics_until("they are gone", |now| now.sum("thalweg_connections", "") < 20.0);
    }
    without.report("without stalled readers");
    with.report(&format!(
        "with {STALLED_READERS} stalled readers (memory {before_kib} to {largest_kib} KiB)"
    ));
}

/// Publishes so many bytes to the target.
fn fill(place: &Place, bytes: usize) {
    place.runtime.block_on(async {
        let producer = place.client.producer().acks(Acks::Leader).build().await.unwrap();
        let value = vec![9; 100_000];
        let mut last = None;
        for _ in 0..bytes / value.len() {
            last = Some(producer.send(Record::to(TARGET).value(&value)).await.unwrap());
        }
        if let Some(last) = last {
            last.await.unwrap();
        }
        producer.flush().await.unwrap();
    });
}

#[test]
fn measure_backfill_beside_a_good_client() {
    if !is_wanted("backfill") {
        return;
    }
    let place = place(&["log.level=error"]);
    fill(&place, BACKFILL_BYTES);
    let (mut without, mut with) = (Side::default(), Side::default());
    let (mut read_bytes, mut cold) = (0_u64, 0.0);
    for _ in 0..ROUNDS {
        without.measure(&place, false);
        let forgotten = forget(place.temp.path());
        assert!(forgotten > 0, "vacuous: no file was put out of memory");
        let before = cold_bytes(&place);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (done, broker) = (&done, &place.broker);
            let backfill = scope.spawn(move || {
                let client = good::client(broker);
                good::runtime().block_on(read_until(&client, done))
            });
            with.measure(&place, false);
            done.store(true, Ordering::Relaxed);
            read_bytes += backfill.join().unwrap();
        });
        cold += cold_bytes(&place) - before;
    }
    assert!(cold > 0.0, "vacuous: nothing was read from the disk");
    without.report("without backfill");
    with.report(&format!(
        "with backfill ({} MiB read, {:.0} MiB of them from the disk)",
        read_bytes >> 20,
        cold / f64::from(1 << 20)
    ));
}

fn cold_bytes(place: &Place) -> f64 {
    place.broker.metrics().sum("thalweg_cold_fetched_bytes_total", "")
}

/// Reads the target from its beginning, again and again, as fast as it comes.
async fn read_until(client: &Client, done: &AtomicBool) -> u64 {
    let mut bytes = 0;
    while !done.load(Ordering::Relaxed) {
        let builder = client.consumer().topic(TARGET, StartAt::Earliest).stop_at_end();
        let mut consumer = builder.build().await.unwrap();
        while let Some(record) = consumer.next().await {
            bytes += record.unwrap().value.map_or(0, |value| value.len() as u64);
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    bytes
}

/// Puts all log files below a folder out of memory; says how many.
fn forget(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            count += forget(&path);
        } else if path.extension().is_some_and(|end| end == "log") {
            let file = File::open(&path).unwrap();
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            count += 1;
        }
    }
    count
}

impl Orders {
    /// So many frames in each second, until it is stopped.
    pub fn paced(frames_per_second: u32) -> Self {
        Self {
            rate: Some((Instant::now(), frames_per_second)),
            ..crate::storm::orders(u64::MAX, None)
        }
    }

    fn stop(&self) {
        self.frames_left.store(0, Ordering::Relaxed);
    }
}
