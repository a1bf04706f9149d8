//! Thousands of connections: what each costs, that one too many is refused, and that strangers who stand in the door
//! keep nobody out.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use thalweg_protocol::frame::HANDSHAKE_BYTES_MAX;
use thalweg_protocol::native::AuthenticateRequest;

use crate::good;
use crate::raw::{Raw, greeting, request};
use crate::support::observe::{Metrics, Watch};
use crate::support::{Broker, number, say};

/// In `make test`; `CONNECTIONS` asks for more.
const CONNECTIONS: u64 = 2_000;

/// One connection without a handshake claims no more.
const STRANGER_KIB_MAX: u64 = 16;

/// One silent connection holds no more.
const IDLE_KIB_MAX: u64 = 24;

const CLOSED: &str = "thalweg_connections_closed_total";

/// As many as were asked for, as far as the system lets this process have them.
fn connections() -> usize {
    let wanted = number("CONNECTIONS").unwrap_or(CONNECTIONS);
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // Log files, and what both processes have open beside.
    let allowed = limit.current.map_or(wanted, |files| files.saturating_sub(2_500));
    if allowed < wanted {
        say(&format!(
            "CROWDS: {allowed} connections instead of {wanted}: the system allows no more"
        ));
    }
    usize::try_from(wanted.min(allowed)).unwrap()
}

/// A broker that takes so many connections, and waits for their handshakes.
fn roomy(temp: &tempfile::TempDir, name: &str, count: usize) -> Broker {
    let settings = [
        format!("limits.connections_max={count}"),
        format!("limits.connections_per_address_max={count}"),
        format!("limits.handshakes_max={count}"),
        "limits.handshake_ms_max=5m".to_owned(),
        "storage.open_files_max=2000".to_owned(),
        "log.level=error".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Broker::start_set(&temp.path().join(name), &settings, &[])
}

fn counted(metrics: &Metrics, name: &str, wanted: usize) -> bool {
    metrics.sum(name, "") >= f64::from(u32::try_from(wanted).unwrap())
}

/// Opens so many connections and says what each added to the broker's memory, in KiB.
fn cost_of_each(
    broker: &Broker,
    count: usize,
    figure: &str,
    open: impl Fn() -> io::Result<Raw>,
) -> (Vec<Raw>, u64) {
    // The first ones make threads and tables.
    let mut held: Vec<Raw> = (0..50).map(|_| open().unwrap()).collect();
    broker.metrics_until("the first connections are there", |now| counted(now, figure, 50));
    let before_kib = broker.anonymous_kib().unwrap();
    held.extend((50..count).map(|_| open().unwrap()));
    broker.metrics_until("all connections are there", |now| counted(now, figure, count));
    let watch = Watch::start(broker);
    broker.metrics();
    let after_kib = watch.largest_kib().max(broker.anonymous_kib().unwrap());
    let added_kib = after_kib.saturating_sub(before_kib);
    (held, added_kib.div_ceil(u64::try_from(count - 50).unwrap()))
}

#[test]
fn a_connection_without_a_handshake_claims_little() {
    let temp = tempfile::tempdir().unwrap();
    let count = connections();
    let broker = roomy(&temp, "data", count);
    // All that is allowed before the handshake, but for its last byte.
    let mut largest = greeting()[..6].to_vec();
    let length = u32::try_from(HANDSHAKE_BYTES_MAX).unwrap();
    largest.extend(length.to_be_bytes());
    largest.resize(6 + 4 + HANDSHAKE_BYTES_MAX - 1, 0);
    let (held, each_kib) = cost_of_each(&broker, count, "thalweg_connections_in_handshake", || {
        let mut raw = Raw::connect(&broker.address)?;
        raw.send(&largest)?;
        Ok(raw)
    });
    let received = broker.metrics_until("the bytes have arrived", |now| {
        now.sum("thalweg_received_bytes_total", "")
            >= f64::from(u32::try_from(count * largest.len()).unwrap())
    });
    let each_kib = each_kib.max(
        broker.anonymous_kib().unwrap().saturating_sub(20_000) / u64::try_from(count).unwrap(),
    );
    assert!(received.sum("thalweg_connections", "") > 0.0);
    say(&format!(
        "CROWDS: {} connections without a handshake, each with {} bytes sent: {each_kib} KiB each",
        held.len(),
        largest.len()
    ));
    assert!(each_kib <= STRANGER_KIB_MAX, "{each_kib} KiB each");
}

/// A request that fills a buffer, with a small answer.
fn large_request() -> Vec<u8> {
    let unknown = vec![b'x'; 60_000];
    request(1, &AuthenticateRequest { mechanism: "none".to_owned(), token: unknown.into() })
}

#[test]
fn thousands_of_idle_connections_are_held_and_one_too_many_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let count = connections();
    let broker = roomy(&temp, "data", count);
    let asked = large_request();
    // Each has been busy before: a buffer that nobody has written to takes no memory, whoever holds it.
    let open = || {
        let mut raw = Raw::open(&broker.address)?;
        raw.send(&asked)?;
        assert!(raw.answer()?.is_some(), "the connection was closed");
        Ok(raw)
    };
    let (mut held, each_kib) = cost_of_each(&broker, count, "thalweg_connections", open);
    say(&format!("CROWDS: {} idle connections, {each_kib} KiB each", held.len()));
    assert!(each_kib <= IDLE_KIB_MAX, "{each_kib} KiB each");

    let mut refused = Raw::connect(&broker.address).unwrap();
    refused.closed().unwrap();
    let metrics = broker.metrics();
    assert!(metrics.sum(CLOSED, "connections_max") >= 1.0, "it was refused without a reason");

    // All are still served, and the place of one that goes is free for another.
    for raw in held.iter_mut().step_by(100) {
        raw.send(&crate::arsenal::sentinel()).unwrap();
        assert!(raw.answer().unwrap().is_some());
    }
    drop(held.pop());
    broker.metrics_until("the place is free", |now| now.sum(CLOSED, "\"client\"") >= 1.0);
    open().unwrap();
}

#[test]
fn strangers_in_the_door_keep_nobody_out() {
    let temp = tempfile::tempdir().unwrap();
    // Whoever waits until the strangers are put out waits for longer than a client does.
    let settings = ["limits.handshakes_max=100", "limits.handshake_ms_max=5m", "log.level=error"];
    let broker = Broker::start_set(&temp.path().join("data"), &settings, &[]);
    let runtime = good::runtime();
    let mut slowest = Duration::ZERO;
    let mut strangers: Vec<Raw> = Vec::new();
    for _ in 0..20 {
        // Twice as many as may shake hands, each with the first letter of a preface, and never the next.
        for _ in 0..200 {
            let mut raw = Raw::connect(&broker.address).unwrap();
            drop(raw.send(b"T"));
            strangers.push(raw);
        }
        let began = Instant::now();
        let client = good::client(&broker);
        runtime.block_on(client.admin().list_topics()).unwrap();
        slowest = slowest.max(began.elapsed());
        strangers.truncate(500);
    }
    let metrics = broker.metrics();
    let evicted = metrics.sum(CLOSED, "handshakes_max");
    say(&format!(
        "CROWDS: {evicted} strangers made room for others; a client took {} ms at most to come in",
        slowest.as_millis()
    ));
    assert!(evicted > 1_000.0, "vacuous: the door was never full");
}

#[test]
fn half_a_frame_is_not_waited_for_without_end() {
    let temp = tempfile::tempdir().unwrap();
    let settings = ["limits.slow_reader_ms_max=300ms"];
    let broker = Broker::start_set(&temp.path().join("data"), &settings, &[]);
    let mut raw = Raw::open(&broker.address).unwrap();
    raw.send(&[0, 0, 1, 0, 7]).unwrap();
    raw.closed().unwrap();
    broker.metrics_until("it is counted", |now| {
        now.sum(CLOSED, "slow_frame") >= 1.0 && now.sum("thalweg_connections", "") < 1.0
    });
    broker.log_until("began to arrive");
}
