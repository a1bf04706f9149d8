//! How far groups are behind: in records, and in seconds, which is the age of the next record to be read.
//!
//! Looked up away from the data path: when somebody asks, and for the metrics now and then. Reads one batch for each
//! partition that is behind, and none again while the group stands where it stood.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thalweg_protocol::batch::BatchReader;
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::group::{DescribedGroup, GroupFigures, GroupState};
use super::service::Coordinator;
use crate::base::Clock;
use crate::metrics::{GroupSeries, GroupShown, LagShown};
use crate::partition::{Partition, Table};

/// What is read of a partition at a time.
const READ_BYTES: usize = 64 * 1024;

/// Batches that are looked into for the next record: compaction may have emptied some.
const READS_MAX: usize = 16;

/// How long shards are waited for when their figures are collected.
const FIGURES_TIMEOUT: Duration = Duration::from_secs(1);

/// How far behind a group is in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind {
    log_start: Offset,
    high_watermark: Offset,
    records: i64,
    /// -1 when it is not known.
    ms: i64,
}

/// Finds out how far groups are behind. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Lag {
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    data: Handle,
    permits: Arc<Semaphore>,
    /// The time of the record at an offset, as far as somebody stands there.
    times: Arc<Mutex<HashMap<(TopicPartition, Offset), TimestampMs>>>,
}

impl Lag {
    pub(super) fn new(table: Arc<Table>, clock: Arc<dyn Clock>, data: Handle) -> Self {
        let permits = Arc::new(Semaphore::new(2));
        Self { table, clock, data, permits, times: Arc::default() }
    }

    /// Runs `look` where reading may wait for the disk.
    async fn away<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let this = self.clone();
        let look = move || {
            let _permit = permit;
            look(&this)
        };
        self.data.spawn_blocking(look).await.ok()
    }

    /// Says of each partition how far behind the group is.
    pub(super) async fn of_group(&self, group: DescribedGroup) -> DescribedGroup {
        let kept = group.clone();
        let filled = self.away(move |this| {
            let mut group = group;
            let wall = this.clock.wall();
            for offset in &mut group.offsets {
                let Some(behind) = this.behind(offset.partition, offset.committed.offset, wall)
                else {
                    continue;
                };
                offset.log_start = behind.log_start;
                offset.high_watermark = behind.high_watermark;
                offset.lag_records = behind.records;
                offset.lag_ms = behind.ms;
            }
            group
        });
        filled.await.unwrap_or(kept)
    }

    /// None when this broker does not lead the partition.
    fn behind(&self, at: TopicPartition, committed: Offset, wall: TimestampMs) -> Option<Behind> {
        let partition = self.table.get(at).ok().filter(|p| p.leads_in(LeaderEpoch::FIRST))?;
        let (log_start, high_watermark) =
            (partition.reader().log_start(), partition.high_watermark());
        let mut behind = Behind { log_start, high_watermark, records: -1, ms: -1 };
        if committed < Offset::ZERO {
            return Some(behind);
        }
        // What was deleted is not read any more.
        let next = committed.max(log_start);
        behind.records = high_watermark.since(next).max(0);
        behind.ms = if behind.records == 0 {
            0
        } else {
            self.time_of(&partition, next).map_or(-1, |time| wall.since(time).max(0))
        };
        Some(behind)
    }

    fn time_of(&self, partition: &Partition, offset: Offset) -> Option<TimestampMs> {
        let key = (partition.at(), offset);
        let times = || self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(time) = times().get(&key) {
            return Some(*time);
        }
        let time = next_time(partition, offset)?;
        times().insert(key, time);
        Some(time)
    }

    /// Shows all groups in the metrics, again and again.
    pub(super) async fn show(
        self,
        coordinator: Coordinator,
        series: Arc<GroupSeries>,
        interval: Duration,
    ) {
        loop {
            tokio::time::sleep(interval).await;
            if !coordinator.has_shards() {
                continue;
            }
            let (figures, is_whole) = coordinator.figures(FIGURES_TIMEOUT).await;
            let series = Arc::clone(&series);
            self.away(move |this| this.show_all(&figures, is_whole, &series)).await;
        }
    }

    fn show_all(&self, groups: &[GroupFigures], is_whole: bool, series: &GroupSeries) {
        let wall = self.clock.wall();
        let mut showing = series.begin();
        for group in groups {
            let state = match group.state {
                GroupState::Empty => "empty",
                GroupState::Assigning => "assigning",
                GroupState::Reconciling => "reconciling",
                GroupState::Stable => "stable",
            };
            let shown = GroupShown {
                members: group.members,
                state,
                rebalances: group.rebalances,
                stall: group.stall,
                commits: group.commits,
            };
            showing.group(&group.group, &shown);
            for (at, committed) in &group.offsets {
                let Some(behind) = self.behind(*at, *committed, wall) else { continue };
                let Ok(partition) = self.table.get(*at) else { continue };
                // Below 0 is what is not known.
                let Ok(records) = u64::try_from(behind.records) else { continue };
                let age = u64::try_from(behind.ms).ok().map(Duration::from_millis);
                let lag = LagShown { records, age };
                showing.lag(&group.group, partition.topic(), at.partition, lag);
            }
        }
        showing.end(is_whole);
        // Where nobody stands any more is forgotten.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() > 2 * groups.iter().map(|group| group.offsets.len()).sum::<usize>() + 1_000 {
            times.clear();
        }
    }
}

/// The time of the first record at or after `offset`. May wait for the disk.
fn next_time(partition: &Partition, offset: Offset) -> Option<TimestampMs> {
    let end = partition.high_watermark();
    let mut from = offset;
    for _ in 0..READS_MAX {
        let read = partition.reader().read(from, READ_BYTES, end, true).ok()?;
        read.populate().ok()?;
        let next = read.next();
        for batch in BatchReader::new(read.into_bytes()) {
            let records = batch.ok()?.records().ok()?;
            let mut records = records.iter().filter_map(Result::ok);
            if let Some(record) = records.find(|record| record.offset >= offset) {
                return Some(record.timestamp);
            }
        }
        if next <= from {
            return None;
        }
        from = next;
    }
    None
}
