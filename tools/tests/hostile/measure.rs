//! What hostile clients cost a good one: rate and latency with and without them, in turn, five times.
//!
//! Figures, not assertions: they go into `docs/testing.md`. They need a quiet machine and an optimised build:
//! `MEASURE=1 cargo test --release -p thalweg --all-features --test hostile measure -- --nocapture --test-threads 1`.
//! `MEASURE=latency` and `MEASURE=speed` do one half; `KIND` and `RATE` choose one kind of frames and how many a second.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg_client::{Acks, Client, Record};
use tokio::runtime::Runtime;

use crate::arsenal::Arsenal;
use crate::attacker::{Orders, attack};
use crate::good::{self, Figures, TARGET, TOPIC, at_full_speed, at_rate};
use crate::kinds::Kind;
use crate::raw::Raw;
use crate::readers::{fetch, stuff};
use crate::storm::SETTINGS;
use crate::support::{Broker, number, say};

pub const ROUNDS: usize = 5;

/// Of 1,000 bytes each: a third of what the slowest machine of ours does.
pub const RATE: u32 = 2_000;

pub const PART: Duration = Duration::from_secs(3);

const HOSTILE_FRAMES_PER_SECOND: u32 = 2_000;

const STALLED_READERS: usize = 1_000;

/// Whether figures are wanted; says so when not.
pub fn is_wanted(what: &str) -> bool {
    let wanted = std::env::var("MEASURE").is_ok_and(|wanted| !wanted.is_empty());
    if !wanted {
        say(&format!("MEASURE DID NOT RUN ({what}): it wants a quiet machine; set MEASURE=1"));
    }
    wanted
}

pub struct Place {
    pub temp: tempfile::TempDir,
    pub broker: Broker,
    pub runtime: Runtime,
    pub client: Client,
}

pub fn place(settings: &[&str]) -> Place {
    let temp = tempfile::tempdir().unwrap();
    let broker = Broker::start_set(&temp.path().join("data"), settings, &[]);
    let (runtime, client) = (good::runtime(), good::client(&broker));
    runtime.block_on(async {
        good::create(&client, TOPIC, &[("retention.bytes", "2000000000")]).await;
        good::create(&client, TARGET, &[("segment.bytes", "67108864")]).await;
    });
    Place { temp, broker, runtime, client }
}

/// The figures of all rounds, alone or beside others.
#[derive(Default)]
pub struct Side {
    p99_us: Vec<u64>,
    full_speed: Vec<f64>,
}

impl Side {
    pub fn latency(&mut self, place: &Place) {
        let at_rate: Figures = place.runtime.block_on(at_rate(&place.client, RATE, PART));
        self.p99_us.push(at_rate.p99_us());
    }

    fn speed(&mut self, place: &Place) {
        let fast = place.runtime.block_on(at_full_speed(&place.client, PART));
        self.full_speed.push(fast.per_second());
    }

    pub fn report(mut self, what: &str) {
        self.p99_us.sort_unstable();
        self.full_speed.sort_by(f64::total_cmp);
        if let ([first, .., last], middle) = (&*self.p99_us, self.p99_us.len() / 2) {
            let p99_us = self.p99_us[middle];
            say(&format!("MEASURE {what}: p99 at {RATE}/s {p99_us} us ({first} to {last})"));
        }
        if let ([first, .., last], middle) = (&*self.full_speed, self.full_speed.len() / 2) {
            let fast = self.full_speed[middle];
            say(&format!(
                "MEASURE {what}: full speed {fast:.0} records/s ({first:.0} to {last:.0})"
            ));
        }
    }
}

/// One half of what is measured.
type Half = fn(&mut Side, &Place);

/// Alone and beside others in turn: first all latencies, then all speeds, since what is written at full speed goes to
/// the disk for seconds afterwards. `beside` does what it gets while the others are there.
fn in_turn(place: &Place, mut beside: impl FnMut(usize, &mut dyn FnMut())) -> (Side, Side) {
    let (mut without, mut with) = (Side::default(), Side::default());
    let halves: [(&str, Half); 2] = [("latency", Side::latency), ("speed", Side::speed)];
    let wanted = std::env::var("MEASURE").unwrap_or_default();
    for (_, measure) in halves.iter().filter(|(name, _)| wanted == *name || wanted == "1") {
        for round in 0..ROUNDS {
            measure(&mut without, place);
            beside(round, &mut || measure(&mut with, place));
        }
    }
    (without, with)
}

#[test]
fn measure_hostile_frames_beside_a_good_client() {
    if !is_wanted("hostile frames") {
        return;
    }
    let place = place(SETTINGS);
    let target = place.runtime.block_on(place.client.admin().describe_topic(TARGET)).unwrap().id;
    let arsenal = Arsenal::new(target);
    let (only, rate) = (kind(), rate());
    let mut frames = 0;
    let (without, with) = in_turn(&place, |round, measure| {
        let orders = Orders { only, ..Orders::paced(rate) };
        std::thread::scope(|scope| {
            let (orders, arsenal, address) = (&orders, &arsenal, &place.broker.address);
            let seed = u64::try_from(round).unwrap() + 1;
            let attacker = scope.spawn(move || attack(address, arsenal, orders, seed));
            measure();
            orders.stop();
            frames += attacker.join().unwrap().total();
        });
    });
    without.report("without hostile frames");
    let what = only.map_or_else(|| "hostile frame".to_owned(), |kind| kind.to_string());
    with.report(&format!("with {rate} of {what} a second ({frames} in all)"));
}

/// The only kind of frames to send, by a part of its name: shows which kind it is that others pay for.
fn kind() -> Option<Kind> {
    let name = std::env::var("KIND").ok().filter(|name| !name.is_empty())?;
    let mut all = Kind::BEFORE_HANDSHAKE.iter().chain(&Kind::AFTER_HANDSHAKE).chain(&Kind::RARE);
    let found = all.find(|kind| kind.to_string().contains(&name));
    Some(*found.unwrap_or_else(|| panic!("KIND={name} names no kind")))
}

/// How many hostile frames a second.
fn rate() -> u32 {
    number("RATE").map_or(HOSTILE_FRAMES_PER_SECOND, |rate| u32::try_from(rate).unwrap())
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
    let (before_kib, mut largest_kib) = (place.broker.anonymous_kib().unwrap(), 0);
    let (without, with) = in_turn(&place, |_, measure| {
        let stalled = |_| {
            let mut raw = Raw::open(&place.broker.address).unwrap();
            stuff(&mut raw, &asked, asked.len()).unwrap();
            raw
        };
        let readers: Vec<Raw> = (0..STALLED_READERS).map(stalled).collect();
        measure();
        largest_kib = largest_kib.max(place.broker.anonymous_kib().unwrap());
        drop(readers);
        place
            .broker
            .metrics_until("they are gone", |now| now.sum("thalweg_connections", "") < 20.0);
    });
    without.report("without stalled readers");
    with.report(&format!(
        "with {STALLED_READERS} stalled readers (memory {before_kib} to {largest_kib} KiB)"
    ));
}

/// Publishes so many bytes to the target.
pub fn fill(place: &Place, bytes: usize) {
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
