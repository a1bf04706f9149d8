//! A shard that was read: takes what is queued, has the pure [`Groups`] answer it as one round, and hands records and
//! answers to its [`Writer`]. Rounds follow each other without waiting for the disk.

use std::sync::Arc;

use thalweg_protocol::{LeaderEpoch, MemberEpoch};
use thalweg_storage::defects::{Defect, planted};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attention::Attention;
use super::batches::batches;
use super::group::{Groups, Request, Round, SESSION_CHECK};
use super::load::Loaded;
use super::shard::{Job, ShardOptions};
use super::share::Share;
use super::writer::{ROUNDS_MAX, Reply, Writer, Written};
use crate::cluster::MetadataIndex;
use crate::partition::Partition;

/// Questions that one round answers at most.
const ROUND_MAX: usize = 1_024;

/// A shard that serves. Dropping it ends its writer, once that has written what it was given.
pub(super) struct Serving {
    options: ShardOptions,
    groups: Groups,
    rounds: mpsc::Sender<Written>,
    failed: CancellationToken,
    partition: Arc<Partition>,
    attention: Attention,
    share: Share,
    next_tick: Instant,
    next_cleanup: Instant,
    topics_seen: MetadataIndex,
}

/// Why serving ended.
pub(super) enum Ended {
    /// Something could not be written.
    Failed,
    /// The shard is led here no more.
    Stopped,
}

impl Serving {
    /// Begins with what was loaded; `pen` says that nobody else writes.
    pub(super) async fn begin(
        options: ShardOptions,
        leader_epoch: LeaderEpoch,
        partition: Arc<Partition>,
        loaded: Loaded,
        pen: OwnedSemaphorePermit,
    ) -> Self {
        let (rounds, written) = mpsc::channel(ROUNDS_MAX);
        let failed = CancellationToken::new();
        let writer = Writer {
            shard: partition.at().partition,
            partition: Arc::clone(&partition),
            leader_epoch,
            clock: Arc::clone(&options.clock),
            tasks: options.tasks.clone(),
            failed: failed.clone(),
            pen: (!planted(Defect::ReadBesideWriter)).then_some(pen),
        };
        options.tasks.spawn("group writer", &options.data, writer.run(written));
        let now = Instant::now();
        let topics = options.topics();
        let mut serving = Self {
            groups: loaded.groups,
            rounds,
            failed,
            partition,
            attention: Attention::new(options.clock.now()),
            share: Share::new(Arc::clone(&options.held)),
            next_tick: now + SESSION_CHECK,
            next_cleanup: now + options.cleanup_interval,
            topics_seen: topics.image.index(),
            options,
        };
        let records = serving.groups.loaded(&serving.options.moment(&topics, &serving.share));
        serving.write(Round { records, ..Round::default() }, Vec::new()).await;
        serving
    }

    /// Serves until it cannot.
    pub(super) async fn run(
        &mut self,
        queue: &mut mpsc::Receiver<Job>,
        stop: &CancellationToken,
    ) -> Ended {
        let mut jobs = Vec::with_capacity(ROUND_MAX);
        loop {
            let has_groups = self.groups.count() > 0;
            let next_tick = self.next_tick;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                () = self.failed.cancelled() => return Ended::Failed,
                // An empty shard costs nothing.
                () = tokio::time::sleep_until(next_tick), if has_groups => {
                    self.tick(queue.len()).await;
                }
                count = queue.recv_many(&mut jobs, ROUND_MAX) => {
                    if count == 0 {
                        return Ended::Stopped;
                    }
                    self.attention.took(count);
                    self.round(&mut jobs).await;
                }
            }
        }
    }

    async fn round(&mut self, jobs: &mut Vec<Job>) {
        let topics = self.options.topics();
        let moment = self.options.moment(&topics, &self.share);
        let (mut requests, mut replies) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Ask(request, reply) if reply.is_closed() && !outlives_asker(&request) => {}
                Job::Ask(request, reply) => {
                    requests.push(*request);
                    replies.push(reply);
                }
                Job::Figures(reply) => {
                    let _ = reply.send(Some(self.groups.figures(&moment)));
                }
            }
        }
        let round = self.groups.round(requests, &moment);
        self.write(round, replies).await;
    }

    async fn tick(&mut self, waiting: usize) {
        let topics = self.options.topics();
        let moment = self.options.moment(&topics, &self.share);
        let heard = self.attention.look(moment.now, waiting);
        let round = self.groups.tick(&moment, heard);
        self.write(round, Vec::new()).await;
        if topics.image.index() != self.topics_seen {
            self.topics_seen = topics.image.index();
            let round = self.groups.topics_changed(&moment);
            self.write(round, Vec::new()).await;
        }
        if Instant::now() >= self.next_cleanup {
            self.next_cleanup = Instant::now() + self.options.cleanup_interval;
            let round = self.groups.clean(&moment);
            self.write(round, Vec::new()).await;
        }
        // From its end on: looking takes turns with answering, however long either takes.
        self.next_tick = Instant::now() + SESSION_CHECK;
    }

    /// Hands a round to the writer; waits while too many are on their way.
    async fn write(&mut self, round: Round, replies: Vec<Reply>) {
        for fenced in &round.fenced {
            tracing::info!(group = %fenced.group, member = %fenced.member, reason = fenced.reason, "a member was taken out");
        }
        self.options.metrics.fenced.increment(round.fenced.len() as u64);
        self.share.set(self.groups.count(), self.groups.members());
        if round.records.is_empty() && replies.is_empty() {
            return;
        }
        let bytes_max = self.partition.settings().batch_bytes_max;
        let batches = batches(&round.records, self.options.clock.wall(), bytes_max);
        let answers = round.answers.into_iter().map(|answer| answer.map_err(Into::into));
        let answers = replies.into_iter().zip(answers).collect();
        // Without a writer the replies are dropped; `failed` or the runtime's end tells why.
        if self.rounds.send(Written { batches, answers }).await.is_err() {
            self.failed.cancel();
        }
    }
}

/// Whether a question counts when its asker waits no more. A sign of life does: the broker may have slept over the
/// asker's deadline; so does a farewell. For others nothing is done.
fn outlives_asker(request: &Request) -> bool {
    matches!(request, Request::Heartbeat(beat) if beat.epoch != MemberEpoch::JOIN)
}

#[cfg(test)]
mod tests {
    use super::super::group::{ClientInfo, Heartbeat};
    use super::*;

    fn heartbeat(epoch: MemberEpoch) -> Request {
        Request::Heartbeat(Heartbeat {
            group: "g".to_owned(),
            member: "m".to_owned(),
            instance: None,
            epoch,
            session_timeout_ms: 0,
            drain_timeout_ms: 0,
            subscription: None,
            assignor: None,
            owned: None,
            client: ClientInfo::default(),
        })
    }

    /// A heartbeat whose deadline had passed while the broker slept used to be thrown away, and its member with it.
    #[test]
    fn a_sign_of_life_counts_when_its_asker_waits_no_more() {
        assert!(outlives_asker(&heartbeat(MemberEpoch::new(3))));
        assert!(outlives_asker(&heartbeat(MemberEpoch::LEAVE)));
        assert!(!outlives_asker(&heartbeat(MemberEpoch::JOIN)), "nobody would send the next one");
        assert!(!outlives_asker(&Request::Describe("g".to_owned())));
    }
}
