//! Reading events back: live in a task beside the publishing, and once more from the beginning at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thalweg_client::{Client, ConsumeError, ConsumedRecord, Offset, PartitionIndex, StartAt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::events::Event;
use super::publish::{Place, TOPIC, micros};
use crate::clock::Started;
use crate::failure::Failure;

/// How long to wait for events that are known to be stored.
const READ_MAX: Duration = Duration::from_secs(20);

/// An event as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// What its headers say; none when they are not there.
    pub(super) place: Option<Place>,
    pub(super) key: String,
    pub(super) partition: PartitionIndex,
    pub(super) offset: Offset,
    /// Whether the value is that of the event in its place.
    pub(super) intact: bool,
    /// From the moment of sending to that of reading.
    pub(super) latency_us: u64,
}

impl Seen {
    fn of(record: &ConsumedRecord, events: &[Event], started: Started) -> Self {
        let number = |name: &str| -> Option<u64> {
            std::str::from_utf8(record.headers.last(name)??).ok()?.parse().ok()
        };
        let index = |name| number(name).and_then(|number| usize::try_from(number).ok());
        let place = index("round").zip(index("index")).map(|(round, index)| Place { round, index });
        let event = place.and_then(|place| events.get(place.index));
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        Self {
            place,
            intact: event.is_some_and(|event| {
                record.value.as_deref() == Some(event.line.as_bytes()) && event.network == key
            }),
            key,
            partition: record.partition,
            offset: record.offset,
            latency_us: micros(started).saturating_sub(number("sent-us").unwrap_or(u64::MAX)),
        }
    }
}

/// Everything that is stored, from the beginning to the end.
pub(super) async fn everything(
    client: &Client,
    events: &[Event],
    started: Started,
) -> Result<Vec<Seen>, Failure> {
    let builder = client.consumer().topic(TOPIC, StartAt::Earliest).stop_at_end();
    let mut consumer = builder.build().await?;
    let mut seen = Vec::new();
    while let Some(record) = consumer.next().await {
        seen.push(Seen::of(&record?, events, started));
    }
    Ok(seen)
}

/// A consumer in a task of its own that reads on through outages.
#[derive(Debug)]
pub(super) struct Live {
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<ConsumeError>,
}

impl Live {
    /// Starts to read at the beginning.
    pub(super) async fn start(
        client: &Client,
        events: Arc<[Event]>,
        started: Started,
    ) -> Result<Self, Failure> {
        let mut consumer = client.consumer().topic(TOPIC, StartAt::Earliest).build().await?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let target = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                match consumer.next().await {
                    Some(Ok(record)) => {
                        let one = Seen::of(&record, &events, started);
                        let mut all = target.lock().unwrap_or_else(PoisonError::into_inner);
                        all.push(one);
                        counter.send_replace(all.len());
                    }
                    // The broker is away: it will come back.
                    Some(Err(ConsumeError::Unreachable { .. })) | None => {}
                    Some(Err(error)) => break error,
                }
            }
        });
        Ok(Self { seen, count, task })
    }

    /// Waits until it has read so many events, and says which.
    pub(super) async fn wait_for(&mut self, events: usize) -> Result<Vec<Seen>, Failure> {
        let waited = self.count.wait_for(|count| *count >= events);
        // The count's guard must not be held on.
        let waited = timeout(READ_MAX, waited).await.map(|count| count.map(drop));
        match waited {
            Ok(Ok(())) => Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            Ok(Err(_)) => Err(match (&mut self.task).await {
                Ok(error) => error.into(),
                Err(error) => Failure::failed(format!("the live consumer has ended: {error}")),
            }),
            Err(_) => {
                let found = *self.count.borrow();
                let waited = READ_MAX.as_secs();
                Err(Failure::failed(format!(
                    "the live consumer has read {found} of {events} events after {waited} s"
                )))
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}
