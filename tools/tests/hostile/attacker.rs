//! One attacker: opens connections, sends hostile bytes, and counts what became of them.

use std::collections::BTreeMap;
use std::io;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use thalweg_protocol::ErrorCode;

use crate::arsenal::{Arsenal, SENTINEL, sentinel};
use crate::kinds::Kind;
use crate::raw::Raw;

/// Frames that are sent before their answers are read.
const BURST: usize = 32;

/// Bursts on one connection.
const BURSTS: usize = 50;

/// When attackers stop.
#[derive(Debug)]
pub struct Orders {
    /// Frames that are still to be sent, by all attackers together.
    pub frames_left: AtomicU64,
    /// The end, whatever is left.
    pub until: Option<Instant>,
    /// Since when, and how many frames in each second; as many as possible when it says nothing.
    pub rate: Option<(Instant, u32)>,
    /// Frames that are done.
    pub sent: AtomicU64,
    /// Nothing else than this kind, if one is named.
    pub only: Option<Kind>,
}

impl Orders {
    fn go_on(&self) -> bool {
        self.frames_left.load(Ordering::Relaxed) > 0
            && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Frames that are sent at once: what is due in a sixtieth of a second, and not more than a burst.
    fn burst(&self) -> usize {
        self.rate.map_or(BURST, |(_, rate)| usize::try_from(rate / 60).unwrap().clamp(1, BURST))
    }

    fn done(&self, frames: u64) {
        let less = |left: u64| Some(left.saturating_sub(frames));
        let _ = self.frames_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let sent = self.sent.fetch_add(frames, Ordering::Relaxed) + frames;
        if let Some((began, rate)) = self.rate {
            let due = began + Duration::from_secs(1) * u32::try_from(sent).unwrap() / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

/// What became of the frames.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Frames that the broker has dealt with.
    pub frames: BTreeMap<Kind, u64>,
    pub connections: u64,
    /// Connections that the broker closed.
    pub closed_by_broker: u64,
    /// Answers that carry an error as a whole, by their code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Answers with a body: mutations may be harmless, and produce errors stand in the body.
    pub bodies: u64,
}

impl Tally {
    pub fn total(&self) -> u64 {
        self.frames.values().sum()
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        for (kind, count) in &other.frames {
            *self.frames.entry(*kind).or_default() += count;
        }
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        self.connections += other.connections;
        self.closed_by_broker += other.closed_by_broker;
        self.bodies += other.bodies;
    }
}

/// Attacks until the orders say otherwise.
pub fn attack(address: &str, arsenal: &Arsenal, orders: &Orders, seed: u64) -> Tally {
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    while orders.go_on() {
        let before = match orders.only {
            Some(kind) => Kind::BEFORE_HANDSHAKE.contains(&kind),
            None => rng.u8(0..8) == 0,
        };
        let done = if before {
            orders.done(1);
            before_handshake(address, arsenal, orders, &mut rng, &mut tally)
        } else {
            after_handshake(address, arsenal, orders, &mut rng, &mut tally)
        };
        done.unwrap_or_else(|error| panic!("SEED={seed}: {error}; so far {tally:?}"));
    }
    tally
}

/// One connection that never gets to its handshake.
fn before_handshake(
    address: &str,
    arsenal: &Arsenal,
    orders: &Orders,
    rng: &mut Rng,
    tally: &mut Tally,
) -> io::Result<()> {
    let kind = orders.only.unwrap_or_else(|| *rng.choice(&Kind::BEFORE_HANDSHAKE).unwrap());
    let mut raw = Raw::connect(address)?;
    tally.connections += 1;
    // The broker may close while the bytes are on their way.
    drop(raw.send(&arsenal.make(kind, rng)));
    if kind.is_cut_short() || kind == Kind::Garbage {
        // Garbage may look like the begin of something longer.
        raw.finish();
    } else {
        tally.closed_by_broker += 1;
    }
    if kind == Kind::NoHandshake {
        let error = raw.answer()?.and_then(|header| header.error);
        assert_eq!(error.map(|error| error.code), Some(ErrorCode::HandshakeRequired));
    }
    raw.closed()?;
    *tally.frames.entry(kind).or_default() += 1;
    Ok(())
}

/// One connection with bursts of hostile requests.
fn after_handshake(
    address: &str,
    arsenal: &Arsenal,
    orders: &Orders,
    rng: &mut Rng,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut raw = Raw::open(address)?;
    tally.connections += 1;
    for _ in 0..BURSTS {
        if !orders.go_on() {
            return Ok(());
        }
        let kinds = burst(rng, orders);
        let last = *kinds.last().unwrap();
        let mut bytes: Vec<u8> = kinds.iter().flat_map(|kind| arsenal.make(*kind, rng)).collect();
        if !last.ends_connection() {
            bytes.extend(sentinel());
        }
        drop(raw.send(&bytes));
        if last.is_cut_short() {
            raw.finish();
        }
        let (answers, ended) = answers(&mut raw, tally)?;
        // What the broker closed upon is dealt with, what came behind it is not.
        let dealt_with = if ended && !last.ends_connection() {
            (answers + 1).min(kinds.len())
        } else {
            kinds.len()
        };
        for kind in &kinds[..dealt_with] {
            *tally.frames.entry(*kind).or_default() += 1;
        }
        orders.done(u64::try_from(dealt_with).unwrap());
        if ended {
            tally.closed_by_broker += u64::from(!last.is_cut_short() || dealt_with < kinds.len());
            return Ok(());
        }
    }
    Ok(())
}

/// Kinds that follow each other; the last may end the connection.
fn burst(rng: &mut Rng, orders: &Orders) -> Vec<Kind> {
    let size = orders.burst();
    if let Some(kind) = orders.only {
        return vec![kind; if kind.ends_connection() { 1 } else { size }];
    }
    let mut kinds: Vec<_> =
        (0..size).map(|_| *rng.choice(&Kind::AFTER_HANDSHAKE).unwrap()).collect();
    if rng.u8(0..8) == 0 {
        kinds.push(*rng.choice(&Kind::RARE).unwrap());
    }
    kinds
}

/// Reads answers up to the sentinel's, or to the end; says how many there were and whether it ended.
fn answers(raw: &mut Raw, tally: &mut Tally) -> io::Result<(usize, bool)> {
    let mut count = 0;
    while let Some(header) = raw.answer()? {
        match header.error {
            _ if header.correlation == SENTINEL => return Ok((count, false)),
            Some(error) => {
                assert_ne!(error.code, ErrorCode::Internal, "{error}");
                *tally.errors.entry(error.code).or_default() += 1;
            }
            None => tally.bodies += 1,
        }
        count += 1;
    }
    Ok((count, true))
}
