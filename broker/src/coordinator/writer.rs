//! Writes a shard's rounds, one after the other, and lets their answers go when they are committed.
//!
//! Runs on the data runtime: the control runtime never touches a log file. Answers of rounds that wrote nothing wait,
//! too: what they say is built on the rounds before.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::batch::BatchHeader;
use thalweg_protocol::{LeaderEpoch, PartitionIndex};
use thalweg_storage::CheckedBatch;
use thalweg_storage::defects::{Defect, planted};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::CoordinatorError;
use super::group::Answer;
use crate::base::{Clock, Tasks};
use crate::partition::{Commit, Outcome, Partition};

/// What one asker waits for.
pub(super) type Reply = oneshot::Sender<Result<Answer, CoordinatorError>>;

/// An answer, and whom it goes to.
pub(super) type Answered = (Reply, Result<Answer, CoordinatorError>);

/// One round: what it wrote, and whom it answers.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) batches: Vec<Bytes>,
    pub(super) answers: Vec<Answered>,
}

/// Rounds that may be on their way; with more, the shard's worker waits.
pub(super) const ROUNDS_MAX: usize = 64;

/// What writes one shard.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shard: PartitionIndex,
    pub(super) partition: Arc<Partition>,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    /// Cancelled when something could not be written, or was not seen to be durable: what the shard's worker holds in
    /// memory is then no more than a guess.
    pub(super) failed: CancellationToken,
    /// Nobody else appends, and nobody reads the shard anew, as long as this is held.
    pub(super) pen: Option<OwnedSemaphorePermit>,
}

impl Writer {
    /// Appends what comes, in order, until nothing more can come.
    pub(super) async fn run(self, mut rounds: mpsc::Receiver<Written>) {
        let (waiting, commits) = mpsc::channel(ROUNDS_MAX);
        let (shard, failed) = (self.shard, self.failed.clone());
        // Commits come in the order of the appends, so one waits for the next. It goes on after the last append.
        let answering = answer(commits, shard, failed);
        self.tasks.spawn("group answers", &Handle::current(), answering);
        while let Some(round) = rounds.recv().await {
            let commit =
                if self.failed.is_cancelled() { Err(()) } else { self.append(&round.batches) };
            if waiting.send((commit, round.answers)).await.is_err() {
                break;
            }
        }
        drop(self.pen);
    }

    /// Appends the batches of a round; what ends when they are committed, if they are not yet.
    fn append(&self, batches: &[Bytes]) -> Result<Option<Commit>, ()> {
        let mut commit = None;
        for bytes in batches {
            let header = BatchHeader::decode(bytes).expect("the batch was just built");
            let batch = CheckedBatch::new(header, bytes.clone());
            let now = self.clock.wall();
            match self.partition.append(&batch, self.leader_epoch, true, now) {
                Ok(accepted) => commit = accepted.commit.or(commit),
                Err(error) => {
                    tracing::warn!(partition = %self.partition, %error, "groups could not be written; reading them anew");
                    self.failed.cancel();
                    return Err(());
                }
            }
        }
        Ok(commit)
    }
}

/// One round on its way: what ends when it is committed, and its answers.
type UnderWay = (Result<Option<Commit>, ()>, Vec<Answered>);

/// Sends answers once what they are built on is committed.
async fn answer(
    mut rounds: mpsc::Receiver<UnderWay>,
    shard: PartitionIndex,
    failed: CancellationToken,
) {
    while let Some((commit, answers)) = rounds.recv().await {
        let committed = match commit {
            // It may rest on a round that failed: what that one wrote is not there any more.
            Ok(None) => !failed.is_cancelled(),
            Ok(Some(_)) if planted(Defect::AckCommitEarly) => true,
            Ok(Some(commit)) => commit.await == Ok(Outcome::Committed),
            Err(()) => false,
        };
        if !committed {
            failed.cancel();
        }
        for (reply, answer) in answers {
            let answer =
                if committed { answer } else { Err(CoordinatorError::Reloading { shard }) };
            // Who asked may wait no more.
            let _ = reply.send(answer);
        }
    }
}
