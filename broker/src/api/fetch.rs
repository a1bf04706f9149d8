//! Reads record batches, waiting until there are enough.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use thalweg_storage::Hold;
use tokio::sync::Notify;

use super::in_pool::ITEMS_AT_ONCE;
use super::{Begun, Context, Failure, Services};
use crate::partition::{Fetched, Partition, PartitionError, ReadRequest, Table};

/// What to read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) wait_max: Duration,
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
    pub(crate) items: Vec<Item>,
}

/// What to read of one partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) last_epoch: LeaderEpoch,
    pub(crate) offset: Offset,
    pub(crate) bytes_max: usize,
}

/// What was read, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Records, Failure>)>,
}

/// What was read of one partition.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) high_watermark: Offset,
    pub(crate) log_start: Offset,
    pub(crate) bytes: Bytes,
    /// What they keep on the disk while they wait to be sent.
    pub(crate) hold: Option<Hold>,
}

/// One reading of everything that was asked for.
struct Attempt {
    items: Vec<(TopicPartition, Result<Fetched, Failure>)>,
    bytes: usize,
    failed: bool,
}

/// How a partition is read: waiting for the disk, or not; nothing when that would wait.
type Reading = fn(&Partition, &ReadRequest) -> Result<Option<Fetched>, PartitionError>;

/// Reads what there is; waits if that is less than was asked for.
pub(super) fn begin(services: Arc<Services>, mut request: Request, context: &Context) -> Begun {
    let bytes_max = services.config.limits.fetch_bytes_max.bytes();
    request.bytes_max = request.bytes_max.min(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    request.wait_max = request.wait_max.min(context.timeout);
    let attempt = request.is_short().then(|| now(&services.table, &request)).flatten();
    let answers = |attempt: &Attempt| attempt.is_enough(&request) || request.wait_max.is_zero();
    if let Some(attempt) = attempt {
        let enough = answers(&attempt);
        if enough && !attempt.is_cold() {
            return Begun::Done(Ok(super::Response::Fetch(attempt.into_response())));
        }
        return Begun::Waiting(Box::pin(async move {
            let attempt = if enough { attempt } else { wait(&services, &Arc::new(request)).await };
            Ok(super::Response::Fetch(warm(&services, attempt).await.into_response()))
        }));
    }
    Begun::Waiting(Box::pin(async move {
        let request = Arc::new(request);
        let attempt = read(&services, &request).await;
        let enough = attempt.is_enough(&request) || request.wait_max.is_zero();
        let attempt = if enough { attempt } else { wait(&services, &request).await };
        Ok(super::Response::Fetch(warm(&services, attempt).await.into_response()))
    }))
}

impl Request {
    /// Whether all of it can be read while other connections wait.
    fn is_short(&self) -> bool {
        self.items.len() <= ITEMS_AT_ONCE
    }
}

/// Reads every partition without waiting for the disk; nothing when that cannot be.
fn now(table: &Table, request: &Request) -> Option<Attempt> {
    attempt(table, request, Partition::fetch_now)
}

/// Reads every partition; nothing when one of them cannot be read in this way.
fn attempt(table: &Table, request: &Request, reading: Reading) -> Option<Attempt> {
    let mut attempt =
        Attempt { items: Vec::with_capacity(request.items.len()), bytes: 0, failed: false };
    for item in &request.items {
        let left = request.bytes_max.saturating_sub(attempt.bytes);
        // The first records of an answer come even when one batch is larger than the limit: a reader would
        // else stand still before it for ever.
        let at_least_one = attempt.bytes == 0;
        let wanted = ReadRequest {
            leader_epoch: item.leader_epoch,
            last_epoch: item.last_epoch,
            offset: item.offset,
            bytes_max: item.bytes_max.min(left),
            at_least_one,
        };
        let outcome = table.ask(item.partition, |partition| reading(partition, &wanted));
        let outcome = outcome.transpose()?.map_err(Failure::from);
        match &outcome {
            Ok(fetched) => attempt.bytes += fetched.bytes(),
            Err(_) => attempt.failed = true,
        }
        attempt.items.push((item.partition, outcome));
    }
    Some(attempt)
}

/// Reads every partition, away from the workers if that has to wait for the disk.
async fn read(services: &Services, request: &Arc<Request>) -> Attempt {
    if request.is_short()
        && let Some(attempt) = now(&services.table, request)
    {
        return attempt;
    }
    let (table, request) = (Arc::clone(&services.table), Arc::clone(request));
    let waiting: Reading = |partition, wanted| partition.fetch(wanted).map(Some);
    let read = move || {
        let read = attempt(&table, &request, waiting);
        let mut attempt = read.expect("who waits for the disk reads every partition");
        attempt.populate();
        attempt
    };
    services.reads.run(read).await
}

/// Waits until a reading is enough, an error has to be told, or the time is over.
async fn wait(services: &Services, request: &Arc<Request>) -> Attempt {
    let registration = Registration::new(services, request);
    let deadline = tokio::time::sleep(request.wait_max);
    tokio::pin!(deadline);
    loop {
        // What came between the first reading and the registration is seen by this one.
        let attempt = read(services, request).await;
        if attempt.is_enough(request) {
            return attempt;
        }
        tokio::select! {
            () = registration.reader.notified() => {}
            () = &mut deadline => return attempt,
            () = services.stop.cancelled() => return attempt,
        }
    }
}

/// Brings what lies on the disk only into memory, away from the workers.
async fn warm(services: &Services, attempt: Attempt) -> Attempt {
    if !attempt.is_cold() {
        return attempt;
    }
    services
        .reads
        .run(move || {
            let mut attempt = attempt;
            attempt.populate();
            attempt
        })
        .await
}

impl Attempt {
    const fn is_enough(&self, request: &Request) -> bool {
        self.failed || self.bytes >= request.bytes_min
    }

    fn is_cold(&self) -> bool {
        self.items.iter().any(|(_, outcome)| outcome.as_ref().is_ok_and(Fetched::is_cold))
    }

    /// Reads everything into memory. Waits for the disk.
    fn populate(&mut self) {
        for (_, outcome) in &mut self.items {
            if let Ok(fetched) = outcome
                && let Err(error) = fetched.populate()
            {
                let message = format!("cannot read the log from disk: {error}");
                *outcome = Err(Failure::new(ErrorCode::StorageOffline, message));
            }
        }
    }

    fn into_response(self) -> Response {
        let records = |fetched: Fetched| Records {
            high_watermark: fetched.high_watermark,
            log_start: fetched.log_start,
            hold: fetched.hold(),
            bytes: fetched.into_records(),
        };
        let items = self.items.into_iter();
        Response {
            items: items.map(|(partition, outcome)| (partition, outcome.map(records))).collect(),
        }
    }
}

/// A reader's place among the waiters of the partitions that it reads, left when it is dropped.
struct Registration {
    reader: Arc<Notify>,
    partitions: Vec<Arc<Partition>>,
}

impl Registration {
    fn new(services: &Services, request: &Request) -> Self {
        let reader = Arc::new(Notify::new());
        let found = |item: &Item| services.table.get(item.partition).ok();
        let mut partitions: Vec<_> = request.items.iter().filter_map(found).collect();
        // Who names one partition a thousand times is woken once: its appends would else pay for each.
        partitions.sort_unstable_by_key(Arc::as_ptr);
        partitions.dedup_by(|one, other| Arc::ptr_eq(one, other));
        for partition in &partitions {
            partition.waiters().join(&reader);
        }
        Self { reader, partitions }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.waiters().leave(&self.reader);
        }
    }
}
