//! Hostile frames of every kind, from several attackers at once, beside a good client.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::GROWTH_KIB_MAX;
use crate::arsenal::Arsenal;
use crate::attacker::{Orders, Tally, attack};
use crate::good::{self, Publisher, TARGET, TOPIC};
use crate::kinds::Kind;
use crate::support::observe::Watch;
use crate::support::{Broker, number, say};

/// In `make test`; `N` multiplies it.
const FRAMES: u64 = 100_000;

const ATTACKERS: u64 = 2;

/// What mutations may create is bounded as an operator bounds it.
pub const SETTINGS: &[&str] =
    &["limits.topics_max=50", "limits.partitions_max=200", "log.level=error"];

#[test]
fn hostile_frames_leave_the_broker_up_its_memory_flat_and_others_served() {
    let temp = tempfile::tempdir().unwrap();
    let mut broker = Broker::start_set(&temp.path().join("data"), SETTINGS, &[]);
    let runtime = good::runtime();
    let client = good::client(&broker);
    let topic = runtime.block_on(async {
        good::create(&client, TOPIC, &[]).await;
        good::create(&client, TARGET, &[("retention.bytes", "10000000")]).await;
        client.admin().describe_topic(TARGET).await.unwrap().id
    });
    let publisher = Publisher::start(&runtime, client.clone());
    let arsenal = Arsenal::new(topic);
    let seed = number("SEED").unwrap_or(1);

    let before_kib = broker.anonymous_kib().unwrap();
    let watch = Watch::start(&broker);
    let began = Instant::now();
    let orders = match number("FUZZ_SECONDS") {
        Some(seconds) => orders(u64::MAX, Some(began + Duration::from_secs(seconds))),
        None => orders(FRAMES * number("N").unwrap_or(1), None),
    };
    let tally = rage(&broker, &arsenal, &orders, seed);
    let (seconds, largest_kib) = (began.elapsed().as_secs_f64(), watch.largest_kib());

    let acknowledged = publisher.stop(&runtime);
    runtime.block_on(good::check(&client, acknowledged));
    assert!(broker.is_up(), "{}", broker.log());
    reasons_are_counted(&broker, &tally);
    report(&tally, seed, seconds, acknowledged, before_kib, largest_kib);
    assert!(
        largest_kib < before_kib + GROWTH_KIB_MAX,
        "memory grew from {before_kib} to {largest_kib} KiB under attack"
    );
    for kind in Kind::BEFORE_HANDSHAKE.iter().chain(&Kind::AFTER_HANDSHAKE).chain(&Kind::RARE) {
        assert!(tally.frames.contains_key(kind), "vacuous: no {kind}");
    }
    assert!(acknowledged > 0, "vacuous: the good client did nothing");
    assert_eq!(broker.stop(), 0, "{}", broker.log());
}

pub const fn orders(frames: u64, until: Option<Instant>) -> Orders {
    Orders {
        frames_left: AtomicU64::new(frames),
        until,
        rate: None,
        sent: AtomicU64::new(0),
        only: None,
    }
}

/// All attackers until their orders are carried out.
pub fn rage(broker: &Broker, arsenal: &Arsenal, orders: &Orders, seed: u64) -> Tally {
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|number| {
                scope.spawn(move || attack(&broker.address, arsenal, orders, seed + number))
            })
            .collect();
        for attacker in attackers {
            tally += &attacker.join().unwrap();
        }
    });
    tally
}

/// Each connection that the broker closed has its reason in the figures, and no task has panicked.
fn reasons_are_counted(broker: &Broker, tally: &Tally) {
    const CLOSED: &str = "thalweg_connections_closed_total";
    let least = count(tally.closed_by_broker);
    let what = format!("every attacker's connection is counted, {least} as closed for a reason");
    let metrics = broker.metrics_until(&what, |now| {
        let ours = ["protocol", "unanswerable"].map(|reason| now.sum(CLOSED, reason));
        now.sum(CLOSED, "") >= count(tally.connections) && ours.iter().sum::<f64>() >= least
    });
    let reasons = metrics.by_label(CLOSED, "reason");
    assert!(metrics.sum("thalweg_malformed_requests_total", "") > 0.0);
    assert!(metrics.sum("thalweg_task_panics_total", "") < 1.0, "a task has panicked");
    say(&format!("HOSTILE closed, by reason: {reasons:?}"));
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn report(
    tally: &Tally,
    seed: u64,
    seconds: f64,
    acknowledged: u64,
    before_kib: u64,
    largest_kib: u64,
) {
    for (kind, count) in &tally.frames {
        say(&format!("HOSTILE {kind:<32} {count:>10}"));
    }
    for (code, count) in &tally.errors {
        say(&format!("HOSTILE answered by error {code}: {count}"));
    }
    say(&format!(
        "HOSTILE {} frames with SEED={seed} on {} connections in {seconds:.1} s, {} of them closed by the broker, {} answers \
         with a body; a good client got {acknowledged} records acknowledged and read them back; anonymous memory \
         {before_kib} KiB before, {largest_kib} KiB at most",
        tally.total(),
        tally.connections,
        tally.closed_by_broker,
        tally.bodies,
    ));
}
