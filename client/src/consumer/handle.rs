//! The handle of a consumer: what callers hold.

mod committing;
mod reading;
mod standing;
mod steering;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use thalweg_protocol::batch::{Batch, BatchReader, OwnedRecords, Scratch};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicName};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::consumed::{ConsumedBatch, ConsumedRecord};
use super::fetcher::{Fetcher, Shared};
use super::group::{GroupEvent, GroupHandle, GroupStart};
use super::options::ConsumerOptions;
use super::progress::Progress;
use super::start::tracks;
use crate::client::Client;
use crate::error::ConsumeError;
use crate::router::Router;

/// Reads records of the partitions assigned to it, in order for each partition.
///
/// A [`Stream`] of records; [`Self::next_batch`] is the fast way. The stream ends when no partition is
/// left to read: all have reached the end that was asked for, or stopped after an error. An error
/// stops its partition only (except [`ConsumeError::Unreachable`], which stops none); [`Self::seek`]
/// starts it again.
///
/// ```no_run
/// # async fn example(client: thalweg_client::Client) -> Result<(), thalweg_client::ConsumeError> {
/// use thalweg_client::StartAt;
///
/// let mut consumer = client.consumer().topic("events", StartAt::Earliest).stop_at_end().build().await?;
/// while let Some(record) = consumer.next().await {
///     let record = record?;
///     println!("{}/{}: {:?}", record.partition, record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    router: Arc<Router>,
    options: Arc<ConsumerOptions>,
    shared: Arc<Shared>,
    /// By track: the offset of the next record that is handed out.
    positions: Vec<Place>,
    chunk: Option<Chunk>,
    batch: Option<Open>,
    scratch: Scratch,
    /// The partition whose last record, or batch, the application has in hand.
    in_hand: Option<usize>,
    /// Whether the caller takes events.
    takes_events: bool,
    /// An event for the caller, and the partitions that are let go when it has dealt with it.
    told: Option<(Box<GroupEvent>, Vec<usize>)>,
    dealing_with: Vec<usize>,
    group: Option<GroupHandle>,
    /// Ends the fetcher, and the group's task, with this handle.
    _stop: DropGuard,
}

/// What the handle keeps of a partition, so that it needs no lock for a record.
struct Place {
    topic: TopicName,
    partition: PartitionIndex,
    position: Offset,
    stop: Offset,
    progress: Arc<Progress>,
}

/// Fetched bytes that are being handed out.
struct Chunk {
    track: usize,
    batches: BatchReader,
    bytes: usize,
}

/// The batch that is being handed out.
struct Open {
    track: usize,
    batch: Batch,
    records: OwnedRecords,
    epoch: LeaderEpoch,
}

/// No end was asked for.
const NO_STOP: Offset = Offset::new(i64::MAX);

impl Consumer {
    pub(super) async fn start(
        client: &Client,
        options: ConsumerOptions,
    ) -> Result<Self, ConsumeError> {
        let router = client.router().clone();
        let options = Arc::new(options);
        let shared = Arc::new(Shared::new(tracks(&router, &options).await?));
        let stop = CancellationToken::new();
        let fetcher = Fetcher::new(router.clone(), options.clone(), shared.clone(), stop.clone());
        let group = GroupStart {
            router: router.clone(),
            options: options.clone(),
            shared: shared.clone(),
            stop: stop.clone(),
            known: None,
        };
        let mut consumer = Self {
            router,
            options,
            shared,
            positions: Vec::new(),
            chunk: None,
            batch: None,
            scratch: Scratch::new(),
            in_hand: None,
            takes_events: false,
            told: None,
            dealing_with: Vec::new(),
            group: None,
            _stop: stop.drop_guard(),
        };
        consumer.notice_tracks();
        tokio::spawn(fetcher.run());
        if consumer.options.group.group.is_some() {
            consumer.join(group).await?;
        }
        Ok(consumer)
    }

    /// The next record. Waits until there is one; none when nothing is left to read.
    pub async fn next(&mut self) -> Option<Result<ConsumedRecord, ConsumeError>> {
        std::future::poll_fn(|context| self.poll_record(context)).await
    }

    /// The next batch as it is stored, or what is left of the one that [`Self::next`] hands out.
    pub async fn next_batch(&mut self) -> Option<Result<ConsumedBatch, ConsumeError>> {
        std::future::poll_fn(|context| self.poll_batch(context)).await
    }
}

impl Stream for Consumer {
    type Item = Result<ConsumedRecord, ConsumeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(context)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("options", &self.options)
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}
