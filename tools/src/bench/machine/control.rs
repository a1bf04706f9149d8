//! The control of a run: the same work with nothing but what the machine itself demands, and what follows from it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use thalweg_broker::base::own_cpu;
use thalweg_client::{Acks, Compression};

use super::super::latency::Percentiles;
use super::super::number::{GB, float, length, rate, rounded, share, wide};
use super::super::payload::Payload;
use super::super::plan::{Durability, Plan, Workload};
use super::super::report::{Measured, Reached};
use super::bare_loop::BareLoop;
use super::disk;
use super::echo::Echo;
use super::expected::{self, PART_MIN};
use super::fresh;
use super::stream;

/// No control takes longer.
const TIME_MAX: Duration = Duration::from_secs(10);

/// One that is shorter measures nothing but its own beginning.
const TIME_MIN: Duration = Duration::from_millis(50);

/// A stream is at least so long.
const STREAM_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// A group that is synced is at most so large.
const GROUP_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;

/// The bare loop keeps about so much of what it wrote: it writes over the same memory again.
const KEPT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// What the machine reached.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Control {
    pub(in super::super) what: &'static str,
    pub(in super::super) seconds: f64,
    pub(in super::super) records_per_second: f64,
    pub(in super::super) bytes_per_second: f64,
    /// Client and server together: both are this process.
    pub(in super::super) cpu_seconds_per_gb: f64,
    pub(in super::super) latency_us: Option<Percentiles>,
    /// What this kind of machine is known to reach: bytes a second, or microseconds. None when nobody measured it.
    pub(in super::super) expected: Option<f64>,
}

/// The control that fits a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    BareLoop,
    /// The same into memory that nobody has used lately.
    Fresh,
    /// Groups of so many bytes.
    Synced(usize),
    Stream,
    Echo {
        is_synced: bool,
    },
}

impl Control {
    /// Measures the control of a run; says why there is none.
    pub(in super::super) async fn measure(
        run: &Measured<'_>,
        payload: &Payload,
        folder: &Path,
    ) -> Result<Self, String> {
        let kind = Kind::of(run.plan, run.bytes_per_flush())?;
        Self::measure_kind(kind, run, payload, folder).await
    }

    /// Measures the bare produce loop into new memory, while what the run wrote still has its own; says why not.
    pub(in super::super) async fn measure_fresh(
        run: &Measured<'_>,
        payload: &Payload,
        folder: &Path,
    ) -> Result<Self, String> {
        if Kind::of(run.plan, run.bytes_per_flush()) != Ok(Kind::BareLoop) {
            return Err("only writing without a flush waits for nothing but memory".to_owned());
        }
        Self::measure_kind(Kind::Fresh, run, payload, folder).await
    }

    async fn measure_kind(
        kind: Kind,
        run: &Measured<'_>,
        payload: &Payload,
        folder: &Path,
    ) -> Result<Self, String> {
        let setup = Setup {
            kind,
            payload: payload.clone(),
            record_bytes: run.plan.record_bytes,
            batch_bytes: run.plan.batch_bytes,
            compression: run.plan.compression,
            connections: wide(match run.plan.workload {
                Workload::Consume => run.plan.consumers,
                _ => run.plan.producers,
            }),
            bytes: run.bytes(),
            folder: folder.to_owned(),
        };
        let measuring = tokio::task::spawn_blocking(move || setup.measure());
        let measured = measuring.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        measured.map_err(|error| format!("the control failed: {error}"))
    }

    /// What part of it a run reached; why that would say nothing.
    pub(in super::super) fn share(&self, reached: Reached) -> Result<f64, String> {
        let Some(expected) = self.expected else {
            return Err("nobody has measured what such a control should reach".to_owned());
        };
        if cfg!(debug_assertions) {
            return Err("a debug build measures nothing".to_owned());
        }
        if self.seconds < TIME_MIN.as_secs_f64() {
            return Err(format!("the control was over within {:.0} ms", self.seconds * 1_000.0));
        }
        let (own, share) = match self.latency_us {
            Some(latency) => {
                (share(expected, latency.p50), share(latency.p50, reached.p50_us.unwrap_or(0.0)))
            }
            None => (
                share(self.bytes_per_second, expected),
                share(reached.bytes_per_second, self.bytes_per_second),
            ),
        };
        if own < PART_MIN {
            return Err(format!(
                "the control reached {:.0} % of what this kind of machine does, less than {:.0} %",
                own * 100.0,
                PART_MIN * 100.0
            ));
        }
        Ok(rounded(share, 4))
    }
}

impl Kind {
    fn of(plan: &Plan, bytes_per_flush: Option<f64>) -> Result<Self, String> {
        let is_synced = plan.acks == Acks::All && plan.durability == Some(Durability::Synced);
        match plan.workload {
            Workload::Produce if plan.one_at_a_time => Ok(Self::Echo { is_synced }),
            Workload::Produce if plan.rate.is_some() => {
                let why = "a run with a rate is as fast as the rate: hold its tail against that of the cores";
                Err(why.to_owned())
            }
            Workload::Produce if is_synced => match bytes_per_flush {
                Some(bytes) => Ok(Self::Synced(group(bytes))),
                None => {
                    Err("the flushes are not known: name the broker's --http address".to_owned())
                }
            },
            Workload::Produce => Ok(Self::BareLoop),
            Workload::EndToEnd => Ok(Self::Echo { is_synced }),
            Workload::Consume => Ok(Self::Stream),
            Workload::Mixed => Err("there is no control for writers beside readers".to_owned()),
        }
    }
}

/// CPU time of this process since then.
fn spent(before: Option<Duration>) -> Duration {
    let spent = own_cpu().zip(before).map(|(now, then)| now.saturating_sub(then));
    spent.unwrap_or_default()
}

/// The bytes of a group as a length.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number, bounded here"
)]
fn group(bytes: f64) -> usize {
    bytes.clamp(1.0, GROUP_BYTES_MAX) as usize
}

/// What the control's thread needs.
struct Setup {
    kind: Kind,
    payload: Payload,
    record_bytes: usize,
    batch_bytes: usize,
    compression: Compression,
    connections: u64,
    bytes: u64,
    folder: PathBuf,
}

impl Setup {
    fn measure(&self) -> io::Result<Control> {
        match self.kind {
            Kind::BareLoop => self.bare_loop("the bare produce loop", self.bytes, KEPT_BYTES),
            Kind::Fresh => {
                fresh::settle(&self.folder)?;
                let bytes = fresh::bytes(&self.folder, self.bytes)?;
                self.bare_loop("the bare produce loop into new memory", bytes, u64::MAX)
            }
            Kind::Synced(bytes) => self.synced(bytes),
            Kind::Stream => self.stream(),
            Kind::Echo { is_synced } => self.echo(is_synced),
        }
    }

    fn bare_loop(&self, what: &'static str, bytes: u64, kept_bytes: u64) -> io::Result<Control> {
        let cpu_before = own_cpu();
        let looped = BareLoop {
            payload: &self.payload,
            record_bytes: self.record_bytes,
            batch_bytes: self.batch_bytes,
            compression: self.compression,
            connections: self.connections,
            bytes,
            kept_bytes,
            time_max: TIME_MAX,
            folder: &self.folder,
        }
        .run()?;
        let used = spent(cpu_before);
        let record = length(self.record_bytes);
        let bytes = float(looped.records) * record;
        let is_plain = self.compression == Compression::None;
        let expected = match self.kind {
            Kind::Fresh => expected::fresh_loop(record, length(self.batch_bytes)),
            _ => expected::bare_loop(record, length(self.batch_bytes), bytes),
        };
        Ok(Control {
            what,
            seconds: rounded(looped.time.as_secs_f64(), 3),
            records_per_second: rounded(rate(looped.records, looped.time), 1),
            bytes_per_second: rounded(rate(looped.records, looped.time) * record, 0),
            cpu_seconds_per_gb: rounded(share(used.as_secs_f64(), bytes / GB), 3),
            latency_us: None,
            expected: is_plain.then(|| rounded(expected * record, 0)),
        })
    }

    fn synced(&self, group_bytes: usize) -> io::Result<Control> {
        let cpu_before = own_cpu();
        let (bytes, time) = disk::synced(&self.folder, group_bytes, self.bytes, TIME_MAX)?;
        let used = spent(cpu_before);
        let record = length(self.record_bytes);
        let bytes_per_second = rate(bytes, time);
        Ok(Control {
            what: "groups of the same size, each written and synced",
            seconds: rounded(time.as_secs_f64(), 3),
            records_per_second: rounded(bytes_per_second / record, 1),
            bytes_per_second: rounded(bytes_per_second, 0),
            cpu_seconds_per_gb: rounded(share(used.as_secs_f64(), float(bytes) / GB), 3),
            latency_us: None,
            expected: Some(rounded(expected::synced(length(group_bytes)), 0)),
        })
    }

    fn stream(&self) -> io::Result<Control> {
        let cpu_before = own_cpu();
        // It is over in no time: a stream that is too short shows how sockets begin.
        let bytes = self.bytes.max(STREAM_BYTES_MIN) / self.connections;
        let (bytes, time) = stream::stream(self.connections, bytes, TIME_MAX)?;
        let used = spent(cpu_before);
        let bytes_per_second = rate(bytes, time);
        Ok(Control {
            what: "the loopback stream",
            seconds: rounded(time.as_secs_f64(), 3),
            records_per_second: rounded(bytes_per_second / length(self.record_bytes), 1),
            bytes_per_second: rounded(bytes_per_second, 0),
            cpu_seconds_per_gb: rounded(share(used.as_secs_f64(), float(bytes) / GB), 3),
            latency_us: None,
            expected: Some(expected::stream(self.connections)),
        })
    }

    fn echo(&self, is_synced: bool) -> io::Result<Control> {
        let echo = Echo {
            bytes: self.record_bytes,
            synced_in: is_synced.then_some(self.folder.as_path()),
        };
        let started = crate::clock::Started::now();
        let latencies = echo.run()?;
        let sync = if is_synced { expected::SYNC_MICROS } else { 0.0 };
        Ok(Control {
            what: if is_synced { "bare echo, each synced" } else { "bare echo" },
            seconds: rounded(started.elapsed().as_secs_f64(), 3),
            records_per_second: 0.0,
            bytes_per_second: 0.0,
            cpu_seconds_per_gb: 0.0,
            latency_us: latencies.percentiles(),
            expected: Some(expected::ECHO_MICROS + sync),
        })
    }
}
