//! Cores that stand still: how long whoever comes to one of them has to wait before anything of a broker's own begins.
//!
//! The host of a virtual machine takes its cores away for milliseconds, and so do threads of the kernel. One busy thread on
//! each core reads the clock again and again; where two readings lie apart, that core did nothing for anybody.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use std::{io, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use super::super::latency::Latencies;
use super::super::number::rounded;
use super::super::plan::Plan;
use super::waits::Waits;
use crate::clock::Started;

/// What is shorter is an interrupt or the first touch of a page, which a broker has, too.
const GAP_MIN: Duration = Duration::from_micros(100);

/// After so long another thread may have had the core: more than reading how long this one has waited takes.
const LOOK_MIN: Duration = Duration::from_micros(20);

/// Threads of the kernel have less of the time. When others have more, somebody else uses the machine.
const OTHERS_MAX: f64 = 0.05;

/// After a run the cores are watched for as long as it took, within these: what is rare is then in both, or in neither.
const AFTER_TIME_MIN: Duration = Duration::from_secs(2);
const AFTER_TIME_MAX: Duration = Duration::from_secs(10);

/// What a request that comes at any moment to any core waits for that core alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in super::super) struct Pauses {
    #[serde(flatten)]
    pub(in super::super) all: Waits,
    /// What is left without the time that other threads had: the host's doing, and that of interrupts. None when the
    /// kernel does not count for how long threads wait for a core.
    pub(in super::super) host: Option<Waits>,
    /// How long each core was watched.
    pub(in super::super) seconds: f64,
}

impl Pauses {
    /// Watches the cores when a run of `time` with a rate is over; says why they are not watched after another.
    pub(in super::super) async fn after(plan: &Plan, time: Duration) -> Result<Self, String> {
        if plan.rate.is_none() {
            return Err(
                "only the records of a rate come at moments that nothing else decides".to_owned()
            );
        }
        let time = time.clamp(AFTER_TIME_MIN, AFTER_TIME_MAX);
        let watching = tokio::task::spawn_blocking(move || Self::measure(time));
        let watched = watching.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        watched.map_err(|error| format!("the cores could not be watched: {error}"))
    }

    /// Why they say nothing: a thread that is always busy waits longer for its turn than one that has slept.
    pub(in super::super) fn void(&self) -> Option<String> {
        let others = self.all.share - self.host?.share;
        (others > OTHERS_MAX).then(|| {
            format!(
                "other threads had the cores for {:.0} % of the time, more than {:.0} %: only what the host took counts",
                others * 100.0,
                OTHERS_MAX * 100.0
            )
        })
    }

    /// Keeps all cores busy for so long.
    pub(super) fn measure(time: Duration) -> io::Result<Self> {
        let usable = sched_getaffinity(None)?;
        // A limit on the CPU time of this process may allow for fewer than it may run on.
        let cores_max = thread::available_parallelism()?.into();
        let cores = (0..CpuSet::MAX_CPU).filter(|core| usable.is_set(*core)).take(cores_max);
        let watched = thread::scope(|scope| {
            let watchers: Vec<_> =
                cores.map(|core| scope.spawn(move || watch(core, time))).collect();
            let mut all = Watched::new();
            for watcher in watchers {
                let panicked = |_| io::Error::other("a busy thread panicked");
                all.add(&watcher.join().map_err(panicked)??);
            }
            io::Result::Ok(all)
        })?;
        Ok(Self {
            all: Waits::of(&watched.gaps, watched.time),
            host: watched.host.map(|gaps| Waits::of(&gaps, watched.time)),
            seconds: rounded(time.as_secs_f64(), 3),
        })
    }
}

/// What was seen of one core, or of several.
struct Watched {
    time: Duration,
    gaps: Latencies,
    /// Without what other threads had of each.
    host: Option<Latencies>,
}

impl Watched {
    fn new() -> Self {
        Self { time: Duration::ZERO, gaps: Latencies::new(), host: Some(Latencies::new()) }
    }

    fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.gaps.add(&other.gaps);
        match (&mut self.host, &other.host) {
            (Some(host), Some(other)) => host.add(other),
            _ => self.host = None,
        }
    }

    /// Adds a gap, of which other threads had so much; none when nobody knows.
    fn gap(&mut self, length: Duration, others: Option<Duration>) {
        let of_host = others.map(|others| length.saturating_sub(others));
        match (&mut self.host, of_host) {
            (Some(host), Some(length)) if length >= GAP_MIN => host.record(length),
            (Some(_), Some(_)) => {}
            _ => self.host = None,
        }
        if length >= GAP_MIN {
            self.gaps.record(length);
        }
    }
}

/// Keeps one core busy.
fn watch(core: usize, time: Duration) -> io::Result<Watched> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only)?;
    let turn = Turn::of_this_thread();
    let mut waited = turn.waited();
    let mut watched = Watched::new();
    let started = Started::now();
    // No `spin_loop` hint: a host takes it for a lock that somebody else holds, and gives the core away.
    while watched.time < time {
        let now = started.elapsed();
        let gap = now.saturating_sub(watched.time);
        if gap >= LOOK_MIN {
            let before = waited;
            waited = turn.waited();
            let others = waited.zip(before).map(|(now, before)| now.saturating_sub(before));
            watched.gap(gap, others);
        }
        watched.time = now;
    }
    Ok(watched)
}

/// Where the kernel tells how long a thread has waited for its turn.
struct Turn(Option<File>);

impl Turn {
    fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    /// How long this thread has waited so far, ready to run.
    fn waited(&self) -> Option<Duration> {
        let mut text = [0; 64];
        let read = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        waited(str::from_utf8(text.get(..read)?).ok()?)
    }
}

/// The second of three numbers: nanoseconds on a core, nanoseconds until it got one, and how often it did. A kernel that does
/// not count has zeros there.
fn waited(schedstat: &str) -> Option<Duration> {
    let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>);
    let (waited, turns) = (numbers.nth(1)?.ok()?, numbers.next()?.ok()?);
    (turns > 0).then(|| Duration::from_nanos(waited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_threads_had_of_a_gap_is_not_the_hosts_doing() {
        let ms = Duration::from_millis;
        let mut watched = Watched::new();
        // All of it, none, a part, and what was waited before as well.
        for (length, others) in [(8, 8), (3, 0), (9, 2), (4, 5)] {
            watched.gap(ms(length), Some(ms(others)));
        }
        watched.gap(Duration::from_micros(50), Some(Duration::ZERO));
        let lengths = |gaps: &Latencies| -> Vec<u64> {
            gaps.recorded().iter().map(|(nanos, _)| nanos / 1_000_000).collect()
        };
        assert_eq!(lengths(&watched.gaps), [9, 8, 4, 3]);
        assert_eq!(watched.host.as_ref().map(lengths), Some(vec![7, 3]));
        // Of one core nobody knows, so of all together neither.
        let mut unknown = Watched::new();
        unknown.gap(ms(2), None);
        watched.add(&unknown);
        assert_eq!(lengths(&watched.gaps), [9, 8, 4, 3, 2]);
        assert!(watched.host.is_none());
    }

    #[test]
    fn cores_that_others_use_say_nothing_of_the_machine() {
        let waits = |share| Waits { p50: 0.0, p99: 0.0, p999: 0.0, max: 0.0, share };
        let pauses = |all, host: Option<f64>| Pauses {
            all: waits(all),
            host: host.map(waits),
            seconds: 2.0,
        };
        for (all, host) in [(0.015, Some(0.01)), (0.3, Some(0.28)), (0.3, None), (0.0, Some(0.0))] {
            assert_eq!(pauses(all, host).void(), None, "{all} {host:?}");
        }
        let void = pauses(0.5, Some(0.1)).void().unwrap();
        assert!(void.starts_with("other threads had the cores for 40 %"), "{void}");
    }

    #[test]
    fn a_kernel_that_does_not_count_waits_is_not_taken_for_one_without_any() {
        assert_eq!(waited("812000 4500 7\n"), Some(Duration::from_nanos(4_500)));
        assert_eq!(waited("812000 0 7\n"), Some(Duration::ZERO));
        for unknown in ["0 0 0\n", "", "1 2", "1 x 3"] {
            assert_eq!(waited(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn every_core_is_watched_and_what_is_told_fits_together() {
        let pauses = Pauses::measure(Duration::from_millis(20)).unwrap();
        for waits in [Some(pauses.all), pauses.host].into_iter().flatten() {
            let rising = [waits.p50, waits.p99, waits.p999, waits.max];
            assert!(rising.is_sorted() && (0.0..=1.0).contains(&waits.share), "{pauses:?}");
        }
        assert!(pauses.host.is_none_or(|host| host.share <= pauses.all.share), "{pauses:?}");
    }
}
