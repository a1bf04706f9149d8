//! How long a partition stands still that its reader keeps, while members join and leave.
//!
//! Records come to every partition at a steady rate. A gap is the time between two records that follow each other in a
//! partition and went to the same member, which had the partition all the time between. The same readers without anybody
//! who joins or leaves are the control.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_client::{Event, GroupEvent, PartitionIndex, Producer, Record};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::super::latency::Latencies;
use super::super::number::{float, wide};
use super::command::GroupsArgs;
use super::figure::Figure;
use super::member;
use super::place::Place;
use crate::clock::Started;
use crate::failure::Failure;

const TOPIC: &str = "steady";
const GROUP: &str = "readers";

/// Those that stay.
const STAYING: usize = 3;
/// Those that come and go.
const COMING: usize = 3;

/// One record to each partition so often: no gap can be shorter.
const BETWEEN_RECORDS: Duration = Duration::from_millis(5);

/// Somebody joins or leaves so often.
const BETWEEN_CHANGES: Duration = Duration::from_millis(750);

/// The aim, in milliseconds.
const AIM_MS: f64 = 50.0;

/// What a reader has seen.
#[derive(Debug)]
struct Seen {
    gaps: Latencies,
    /// Partitions that were taken from it.
    moved: u64,
}

/// A member on a task of its own, until it is told to leave.
struct Reader {
    task: JoinHandle<Result<Seen, Failure>>,
    leave: watch::Sender<bool>,
}

impl Reader {
    async fn join(place: &Place, records: Arc<AtomicU64>) -> Result<Self, Failure> {
        let builder = member::builder(place, GROUP, TOPIC)?;
        let mut consumer = builder.auto_commit(Duration::from_secs(1)).build().await?;
        let (leave, mut left) = watch::channel(false);
        let task = tokio::spawn(async move {
            let started = Started::now();
            let mut seen = Seen { gaps: Latencies::new(), moved: 0 };
            let mut last: HashMap<PartitionIndex, Duration> = HashMap::new();
            loop {
                let event = tokio::select! {
                    event = consumer.next_event() => event,
                    _ = left.changed() => break,
                };
                match event.transpose()? {
                    None => break,
                    Some(Event::Record(record)) => {
                        let now = started.elapsed();
                        records.fetch_add(1, Ordering::Relaxed);
                        if let Some(before) = last.insert(record.partition, now) {
                            seen.gaps.record(now.saturating_sub(before));
                        }
                    }
                    Some(Event::Group(
                        GroupEvent::Revoking { partitions, .. }
                        | GroupEvent::Lost { partitions, .. },
                    )) => {
                        for partition in partitions {
                            seen.moved += u64::from(last.remove(&partition.partition).is_some());
                        }
                    }
                    Some(Event::Group(_)) => {}
                }
            }
            consumer.close().await?;
            Ok(seen)
        });
        Ok(Self { task, leave })
    }

    async fn leave(self) -> Result<Seen, Failure> {
        self.leave.send_replace(true);
        let ended = self.task.await;
        ended.map_err(|error| Failure::failed(format!("a reader ended too early: {error}")))?
    }
}

/// First without a change, then with many.
pub(super) async fn measure(args: &GroupsArgs, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let place = Place::open(folder, &[]).await?;
    place.make_topic(TOPIC, args.partitions).await?;
    let producer = place.client()?.producer().build().await?;
    let writing = tokio::spawn(write(producer, args.partitions));
    let mut figures = Vec::new();
    for (changes_wanted, of) in
        [(false, "control: nobody comes or goes"), (true, "members come and go")]
    {
        let (seen, changes, records) = round(&place, args, changes_wanted).await?;
        let told = seen.gaps.percentiles();
        let gap = |name, micros: Option<f64>| {
            Figure::new(format!("{name}, {of}"), micros.unwrap_or_default() / 1_000.0, "ms")
        };
        let longest = gap("longest gap of a kept partition", told.map(|told| told.max));
        figures.push(if changes_wanted { longest.at_most(AIM_MS) } else { longest });
        figures.push(gap("gap, 99.99 %", told.map(|told| told.p9999)));
        figures.push(gap("gap, half", told.map(|told| told.p50)));
        let count = |what: &str, count: f64| Figure::new(format!("{what}, {of}"), count, "");
        figures.push(count("records read", records));
        if changes_wanted {
            figures.push(count("joins and departures", changes));
            figures.push(count("partitions taken from a reader", float(seen.moved)));
        }
    }
    writing.abort();
    place.kill()?;
    Ok(figures)
}

/// Readers for as long as was asked for. Answers what they saw, how many came and went, and how much was read.
async fn round(
    place: &Place,
    args: &GroupsArgs,
    changes_wanted: bool,
) -> Result<(Seen, f64, f64), Failure> {
    let records = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for _ in 0..STAYING {
        readers.push(Reader::join(place, Arc::clone(&records)).await?);
    }
    let mut seen = Seen { gaps: Latencies::new(), moved: 0 };
    let mut changes = 0;
    let started = Started::now();
    let mut ticks = interval(BETWEEN_CHANGES);
    ticks.tick().await;
    while started.elapsed() < args.duration {
        ticks.tick().await;
        if !changes_wanted {
            continue;
        }
        // So many come, one by one, and then the oldest of all go.
        let comes = changes % (2 * COMING) < COMING;
        changes += 1;
        if comes {
            readers.push(Reader::join(place, Arc::clone(&records)).await?);
        } else {
            seen.add(&readers.remove(0).leave().await?);
        }
    }
    for reader in readers {
        seen.add(&reader.leave().await?);
    }
    Ok((seen, float(wide(changes)), float(records.load(Ordering::Relaxed))))
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.gaps.add(&other.gaps);
        self.moved += other.moved;
    }
}

/// Writes one record to each partition at each tick.
async fn write(producer: Producer, partitions: i32) -> Result<(), Failure> {
    let mut ticks = interval(BETWEEN_RECORDS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        for partition in 0..partitions {
            drop(producer.send(Record::to(TOPIC).partition(partition).value("steady")).await?);
        }
    }
}
