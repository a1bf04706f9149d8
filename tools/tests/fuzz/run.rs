//! Runs decoders on mutated inputs, on as many threads as there are cores, and says what it saw.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::decoders::Decoder;
use crate::mutate::mutate;
use crate::support::observe::proc_status;

/// How long, or how often.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// All decoders together, on all cores.
    Time(Duration),
    /// Each decoder.
    Count { quick: u64, folders: u64 },
}

/// What became of one decoder.
#[derive(Debug)]
pub struct Found {
    pub name: &'static str,
    pub executions: u64,
    /// Inputs that made a value.
    pub taken: u64,
    /// Inputs that made an error.
    pub refused: u64,
    pub slowest: Duration,
    /// The most heap that one execution held.
    pub heap_max: usize,
    /// The first input that broke it, and how to see that again.
    pub failure: Option<String>,
}

/// Runs each decoder within the budget.
pub fn run_all(decoders: &[Decoder], budget: Budget, seed: u64) -> Vec<Found> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(decoders.len());
    let share = |decoder: &Decoder| match budget {
        Budget::Count { folders, .. } if decoder.opens_folders => Share::Count(folders),
        Budget::Count { quick, .. } => Share::Count(quick),
        Budget::Time(time) => Share::Time(share_of(time, threads, decoders.len())),
    };
    let queue = Mutex::new(decoders.iter().enumerate());
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((place, decoder)) = next else { return };
                    let one = run(decoder, share(decoder), seed);
                    found.lock().unwrap().push((place, one));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, found)| found).collect()
}

fn share_of(time: Duration, threads: usize, decoders: usize) -> Duration {
    time * u32::try_from(threads).unwrap() / u32::try_from(decoders).unwrap()
}

#[derive(Clone, Copy)]
enum Share {
    Time(Duration),
    Count(u64),
}

fn run(decoder: &Decoder, share: Share, seed: u64) -> Found {
    let mut found = Found {
        name: decoder.name,
        executions: 0,
        taken: 0,
        refused: 0,
        slowest: Duration::ZERO,
        heap_max: 0,
        failure: None,
    };
    // Two decoders with one seed see different changes.
    let name = decoder.name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut rng = Rng::with_seed(seed ^ name);
    let began = Instant::now();
    let mut now = began;
    let goes_on = |executions, now: Instant| match share {
        Share::Time(time) => now.duration_since(began) < time,
        Share::Count(count) => executions < count,
    };
    while found.failure.is_none() && goes_on(found.executions, now) {
        let input = input(decoder, &mut rng);
        let (outcome, heap) =
            thalweg_counting::measure(|| catch_unwind(AssertUnwindSafe(|| (decoder.run)(&input))));
        let then = std::mem::replace(&mut now, Instant::now());
        found.executions += 1;
        found.slowest = found.slowest.max(now.duration_since(then));
        found.heap_max = found.heap_max.max(heap.bytes_peak);
        let heap_allowed = (decoder.heap_bytes_max)(input.len());
        match outcome {
            Ok(true) => found.taken += 1,
            Ok(false) => found.refused += 1,
            Err(_) => found.failure = Some(failure(decoder, "panicked", &found, seed, &input)),
        }
        if heap.bytes_peak > heap_allowed {
            let what = format!("held {} bytes, {heap_allowed} are allowed,", heap.bytes_peak);
            found.failure = Some(failure(decoder, &what, &found, seed, &input));
        }
    }
    found
}

/// The next input: a golden one, changed, and mostly with its checksums mended.
fn input(decoder: &Decoder, rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(&decoder.seeds).expect("a decoder has golden inputs").clone();
    // Some go in as they are: a decoder that refuses everything proves nothing.
    if rng.u8(0..64) > 0 {
        mutate(rng, &mut input, &decoder.seeds);
        if rng.u8(0..4) > 0 {
            (decoder.mend)(&mut input);
        }
    }
    input
}

fn failure(decoder: &Decoder, what: &str, found: &Found, seed: u64, input: &[u8]) -> String {
    let mut hex = String::new();
    for byte in input.iter().take(4096) {
        write!(hex, "{byte:02x}").unwrap();
    }
    format!(
        "{} {what} at execution {} with SEED={seed}, on {} bytes: {hex}",
        decoder.name,
        found.executions,
        input.len()
    )
}

/// What was run, as people read it.
pub fn table(found: &[Found]) -> String {
    let mut text = format!(
        "{:<24} {:>12} {:>12} {:>12} {:>12} {:>12}\n",
        "FUZZ decoder", "executions", "taken", "refused", "slowest us", "heap max"
    );
    for it in found {
        writeln!(
            text,
            "{:<24} {:>12} {:>12} {:>12} {:>12} {:>12}",
            it.name,
            it.executions,
            it.taken,
            it.refused,
            it.slowest.as_micros(),
            it.heap_max
        )
        .unwrap();
    }
    let total: u64 = found.iter().map(|it| it.executions).sum();
    let rss = proc_status(std::process::id(), "VmHWM").unwrap_or(0) / 1024;
    writeln!(text, "{:<24} {total:>12}   largest resident memory {rss} MiB", "FUZZ all").unwrap();
    text
}
