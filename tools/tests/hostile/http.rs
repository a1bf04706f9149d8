//! Hostile bytes on the HTTP port: whoever asks whether the broker is well is answered all the same, and the broker
//! keeps its memory.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::GROWTH_KIB_MAX;
use crate::support::observe::Watch;
use crate::support::{Broker, DEADLINE, number, say};

/// In `make test`; `N` multiplies it.
const CONNECTIONS: u64 = 3_000;

/// More than the port takes at once.
const HELD: usize = 200;

/// Makes the bytes of one connection.
type Make = fn(&mut Rng) -> Vec<u8>;

/// What comes at the port.
const KINDS: [(&str, Make); 8] = [
    ("garbage", garbage),
    ("another protocol", |_| b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03THLW\x00\x01".to_vec()),
    ("giant header", |_| {
        [&b"GET /metrics HTTP/1.1\r\nHost: "[..], &vec![b'a'; 2 << 20], b"\r\n\r\n"].concat()
    }),
    ("very many headers", |_| {
        [&b"GET /healthz HTTP/1.1\r\n"[..], &b"X: y\r\n".repeat(50_000), b"\r\n"].concat()
    }),
    ("giant path", |rng| {
        let path = "%00/../".repeat(rng.usize(1..100_000));
        format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
    }),
    ("body without end", |rng| {
        let head = b"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n";
        [&head[..], &vec![0; rng.usize(1..1 << 20)]].concat()
    }),
    ("chunks without end", |rng| {
        let head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        [&head[..], &b"7fffffff\r\nabc\r\n".repeat(rng.usize(1..1_000))].concat()
    }),
    ("requests without end", |rng| {
        let request = b"GET /metrics?format=json HTTP/1.1\r\nHost: x\r\n\r\n";
        request.repeat(rng.usize(1..2_000))
    }),
];

fn garbage(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(1..10_000)).map(|_| rng.u8(..)).collect()
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_write_timeout(Some(Duration::from_millis(50)))?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(stream)
}

/// Asks as Prometheus and an orchestrator do, until it is stopped; says how often, and the longest wait.
fn ask(broker: &Broker, stop: &AtomicBool) -> (u64, Duration) {
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        for (path, expected) in [("/healthz", "alive"), ("/metrics", "thalweg_")] {
            let began = Instant::now();
            let (status, body) = broker.get(path);
            assert!(status == 200 && body.contains(expected), "{path}: {status} {body}");
            slowest = slowest.max(began.elapsed());
            asked += 1;
        }
    }
    (asked, slowest)
}

/// Holds connections that send a byte now and then, and takes a new one for each that is closed.
fn dribble(address: &str, stop: &AtomicBool) -> u64 {
    let line = b"GET /healthz HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'y'));
    let (mut held, mut closed): (Vec<(TcpStream, usize)>, u64) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        while held.len() < HELD {
            let Ok(stream) = connect(address) else { break };
            stream.set_nonblocking(true).unwrap();
            held.push((stream, 0));
        }
        held.retain_mut(|(stream, sent)| {
            let byte = *line.clone().nth(*sent).unwrap();
            *sent += 1;
            let kept = stream.write(&[byte]).is_ok() && !is_closed(stream);
            closed += u64::from(!kept);
            kept
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    closed
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let read = stream.read(&mut [0; 256]);
    !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Sends one kind after the other and reads little of what is answered.
fn attack(address: &str, connections: u64, seed: u64, sent: &[AtomicU64]) {
    let mut rng = Rng::with_seed(seed);
    let mut unread = Vec::new();
    for _ in 0..connections {
        let kind = rng.usize(0..KINDS.len());
        let Ok(mut stream) = connect(address) else { continue };
        // The broker may close while the bytes are on their way, or take no more.
        let written = stream.write_all(&KINDS[kind].1(&mut rng));
        sent[kind].fetch_add(1, Ordering::Relaxed);
        if written.is_ok() && rng.bool() {
            drop(stream.read(&mut [0; 1024]));
        }
        unread.push(stream);
        if unread.len() > 100 {
            unread.clear();
        }
    }
}

#[test]
fn hostile_bytes_on_the_http_port_keep_nobody_from_asking() {
    let temp = tempfile::tempdir().unwrap();
    let settings = ["log.level=error"];
    let mut broker = Broker::start_set(&temp.path().join("data"), &settings, &[]);
    let (connections, seed) = (CONNECTIONS * number("N").unwrap_or(1), number("SEED").unwrap_or(1));
    let sent: [AtomicU64; KINDS.len()] = Default::default();
    let stop = AtomicBool::new(false);
    let before_kib = broker.anonymous_kib().unwrap();
    let watch = Watch::start(&broker);
    let began = Instant::now();
    let (asked, slowest, closed) = std::thread::scope(|scope| {
        let (stop, sent, broker) = (&stop, &sent, &broker);
        let dribbler = scope.spawn(move || dribble(&broker.http, stop));
        let asker = scope.spawn(move || ask(broker, stop));
        let attackers: Vec<_> = (0..2)
            .map(|number| {
                scope.spawn(move || attack(&broker.http, connections / 2, seed + number, sent))
            })
            .collect();
        let ended: Vec<_> =
            attackers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "an attacker failed");
        let (asked, slowest) = asker.join().unwrap();
        (asked, slowest, dribbler.join().unwrap())
    });
    let largest_kib = watch.largest_kib();
    for ((kind, _), count) in KINDS.iter().zip(&sent) {
        let count = count.load(Ordering::Relaxed);
        say(&format!("HTTP {kind:<24} {count:>8}"));
        assert!(count > 0, "vacuous: no {kind}");
    }
    say(&format!(
        "HTTP: {connections} hostile connections with SEED={seed} in {:.1} s beside {HELD} that dribble ({closed} of them \
         closed); {asked} good questions, each answered, the slowest after {} ms; anonymous memory {before_kib} KiB \
         before, {largest_kib} KiB at most",
        began.elapsed().as_secs_f64(),
        slowest.as_millis(),
    ));
    assert!(closed > 0, "vacuous: the dribblers were never in the way");
    assert!(slowest < DEADLINE, "a good question waited for {slowest:?}");
    assert!(
        largest_kib < before_kib + GROWTH_KIB_MAX,
        "memory grew from {before_kib} to {largest_kib} KiB"
    );
    assert!(broker.metrics().sum("thalweg_task_panics_total", "") < 1.0, "a task has panicked");
    assert_eq!(broker.stop(), 0, "{}", broker.log());
}
