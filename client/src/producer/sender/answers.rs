//! What an answer means for each batch of its request, and what becomes of the batches.

use thalweg_protocol::native::{ApiError, ProduceResponse, ProducedPartition};
use thalweg_protocol::{ErrorCode, Retry};

use super::super::batch::{Batch, StoredAt};
use super::super::receipt::Delivered;
use super::super::sequence::{Effect, Ticket, Verdict};
use super::{Line, Sender, Sent};
use crate::clock::now;
use crate::error::{CallError, SendError};

/// What the answer says about one batch, beside the verdict.
enum Said {
    Stored(StoredAt),
    Error(ApiError),
}

impl Sender {
    /// Acts on the answer to one request.
    pub(super) fn answered(
        &mut self,
        sent: &Sent,
        answer: Result<Option<ProduceResponse>, CallError>,
    ) {
        if let Some(broker) = self.brokers.get_mut(&sent.address) {
            broker.requests_in_flight = broker.requests_in_flight.saturating_sub(1);
            broker.bytes_in_flight = broker.bytes_in_flight.saturating_sub(sent.bytes);
            broker.answered(now() - sent.begun);
        }
        self.accumulator.counters.answered(sent.batches.len());
        match answer {
            Ok(None) => {
                for (_, line, ticket) in &sent.batches {
                    let said = Said::Stored(StoredAt::SOMEWHERE);
                    self.judge(*line, *ticket, Verdict::Stored, &said);
                }
            }
            Ok(Some(response)) => {
                self.router.pool().succeeded(&sent.address);
                if let Some(broker) = self.brokers.get_mut(&sent.address) {
                    broker.backoff.reset();
                }
                self.walk(sent, response);
            }
            Err(error) => self.request_failed(sent, &error),
        }
    }

    fn walk(&mut self, sent: &Sent, response: ProduceResponse) {
        let mut answers = response.topics.into_iter().flat_map(|topic| {
            let id = topic.topic;
            topic.partitions.into_iter().map(move |one| (id, one))
        });
        for (topic, line, ticket) in &sent.batches {
            let asked = self.lines.get(line).map(|line| line.queue.partition);
            match answers.next() {
                Some((id, one)) if id == *topic && Some(one.partition) == asked => {
                    self.partition_answered(*line, *ticket, one);
                }
                _ => {
                    let message = "the answer does not fit the request".to_owned();
                    let said = Said::Error(ApiError::new(ErrorCode::Internal, message));
                    self.judge(*line, *ticket, Verdict::Again { uncertain: true }, &said);
                }
            }
        }
    }

    fn partition_answered(&mut self, line: usize, ticket: Ticket, one: ProducedPartition) {
        let Some(error) = one.error else {
            let stored =
                StoredAt { base_offset: one.base_offset, log_append_time: one.log_append_time };
            self.judge(line, ticket, Verdict::Stored, &Said::Stored(stored));
            return;
        };
        let verdict = verdict(error.code);
        if verdict == Verdict::Stored {
            self.judge(line, ticket, verdict, &Said::Stored(StoredAt::SOMEWHERE));
            return;
        }
        let mut knows_better = false;
        if let (Some(hint), Some(line)) = (one.leader, self.lines.get(&line)) {
            let (topic, partition) = (&line.queue.topic, line.queue.partition);
            knows_better = self.router.metadata().hint(topic, partition, hint);
        }
        if error.code.retry() == Retry::AfterRefresh && !knows_better {
            self.refresh.want();
        }
        if let (Some(line), false) = (self.lines.get_mut(&line), knows_better) {
            line.pause();
        }
        self.judge(line, ticket, verdict, &Said::Error(error));
    }

    /// The request as a whole came to nothing, or nobody knows what it came to.
    fn request_failed(&mut self, sent: &Sent, error: &CallError) {
        self.router.pool().noted(&sent.address, error);
        let verdict = match error.retry() {
            Retry::Later | Retry::AfterRefresh => Verdict::Again { uncertain: false },
            Retry::SameSequence => Verdict::Again { uncertain: true },
            Retry::Never => Verdict::Refused { fenced: false },
        };
        if matches!(verdict, Verdict::Again { .. }) {
            self.broker_failed(&sent.address, error);
        }
        let code = match error {
            CallError::Refused { error, .. } => error.code,
            CallError::TooLarge { .. } => ErrorCode::BatchTooLarge,
            CallError::Unsupported { .. } => ErrorCode::UnsupportedVersion,
            _ => ErrorCode::OutcomeUnknown,
        };
        let said = Said::Error(ApiError::new(code, error.to_string()));
        for (_, line, ticket) in &sent.batches {
            self.judge(*line, *ticket, verdict, &said);
        }
    }

    /// Tells the line, and carries out what follows.
    fn judge(&mut self, index: usize, ticket: Ticket, verdict: Verdict, said: &Said) {
        let Some(line) = self.lines.get_mut(&index) else {
            return;
        };
        match said {
            Said::Stored(_) => {
                line.backoff.reset();
                self.refresh.confirmed();
            }
            Said::Error(error) => {
                line.last_trouble = format!("{error} ({})", error.code);
                tracing::debug!(
                    topic = %line.queue.topic, partition = %line.queue.partition, %error, ?verdict,
                    "batch not stored"
                );
            }
        }
        self.marked.push(index);
        let mut effects = Vec::new();
        line.lineup.answered(ticket, verdict, &mut effects);
        self.carry_out(index, effects, said);
    }

    fn carry_out(&mut self, index: usize, effects: Vec<Effect<Batch>>, said: &Said) {
        let mut requeued = Vec::new();
        for effect in effects {
            match effect {
                Effect::Requeue(batch) => requeued.push(batch),
                Effect::Stored(batch) => {
                    let at = match said {
                        Said::Stored(at) => *at,
                        Said::Error(_) => StoredAt::SOMEWHERE,
                    };
                    self.delivered(index, &batch, at);
                }
                Effect::Failed { batch, maybe_stored } => {
                    let error = self.refusal(index, &batch, said, maybe_stored);
                    self.fail(index, &batch, error);
                }
                Effect::Broken { batch, maybe_stored } => {
                    let error = self.broken(index, &batch, said, maybe_stored);
                    self.fail(index, &batch, error);
                }
                Effect::Lost(batch) => self.lost(index, &batch),
            }
        }
        self.requeue(index, requeued);
    }

    /// Puts batches before those that were requeued earlier and not numbered again yet: they are older.
    fn requeue(&mut self, index: usize, batches: Vec<Batch>) {
        if let Some(line) = self.lines.get_mut(&index) {
            for batch in batches.into_iter().rev() {
                line.requeued.push_front(batch);
            }
        }
    }

    fn lost(&mut self, index: usize, batch: &Batch) {
        let reason = "a batch before it was given up, and nobody knows what was stored";
        let error = self.outcome_unknown(index, reason.to_owned());
        self.fail(index, batch, error);
    }

    /// Carries out what follows from a deadline that passed.
    pub(super) fn carry_out_expired(&mut self, index: usize, effects: Vec<Effect<Batch>>) {
        let mut requeued = Vec::new();
        for effect in effects {
            match effect {
                Effect::Requeue(batch) => requeued.push(batch),
                Effect::Lost(batch) => self.lost(index, &batch),
                Effect::Failed { batch, maybe_stored } | Effect::Broken { batch, maybe_stored } => {
                    let error = self.deadline_passed(index, &batch, maybe_stored);
                    self.fail(index, &batch, error);
                }
                Effect::Stored(batch) => self.delivered(index, &batch, StoredAt::SOMEWHERE),
            }
        }
        self.requeue(index, requeued);
    }

    fn delivered(&mut self, index: usize, batch: &Batch, at: StoredAt) {
        if let Some(line) = self.lines.get(&index) {
            let delivered = Delivered {
                partition: line.queue.partition,
                offset: at.base_offset,
                timestamp: at.log_append_time,
            };
            self.accumulator.counters.stored(batch.records, batch.bytes.len());
            batch.resolve(Ok(delivered), &line.queue, &self.accumulator);
        }
    }

    pub(super) fn fail(&mut self, index: usize, batch: &Batch, error: SendError) {
        // One that was told of already, when its deadline passed in flight, has been counted.
        if !batch.outcome.is_resolved() {
            self.failures.add(batch.records, &error);
        }
        if let Some(line) = self.lines.get(&index) {
            batch.resolve(Err(error), &line.queue, &self.accumulator);
        }
    }

    fn refusal(&self, index: usize, batch: &Batch, said: &Said, maybe_stored: bool) -> SendError {
        let Said::Error(error) = said else {
            return self.deadline_passed(index, batch, maybe_stored);
        };
        if batch.begun + self.options.delivery_timeout <= now() {
            return self.deadline_passed(index, batch, maybe_stored);
        }
        if maybe_stored {
            let reason = format!(
                "an earlier attempt had no answer, and the last was refused: {error} ({})",
                error.code
            );
            return self.outcome_unknown(index, reason);
        }
        let (topic, partition) = self.place(index);
        SendError::Refused {
            topic,
            partition,
            records: batch.records,
            code: error.code,
            message: error.message.clone(),
        }
    }

    fn broken(&self, index: usize, batch: &Batch, said: &Said, maybe_stored: bool) -> SendError {
        let (Said::Error(error), false) = (said, maybe_stored) else {
            let reason = "its sequence does not fit what the broker has of this producer, and an \
                earlier attempt had no answer";
            return self.outcome_unknown(index, reason.to_owned());
        };
        let (topic, partition) = self.place(index);
        SendError::Refused {
            topic,
            partition,
            records: batch.records,
            code: error.code,
            message: format!(
                "{}; the broker lacks records that it had acknowledged to this producer, or never had them",
                error.message
            ),
        }
    }

    fn outcome_unknown(&self, index: usize, reason: String) -> SendError {
        let (topic, partition) = self.place(index);
        SendError::OutcomeUnknown { topic, partition, reason }
    }
}

impl Line {
    /// Leaves the partition alone for a moment.
    fn pause(&mut self) {
        let now = now();
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = Some(now + self.backoff.next(fastrand::f64()));
        }
    }
}

/// What an error code means for a batch.
fn verdict(code: ErrorCode) -> Verdict {
    match code {
        // The broker has it, and has forgotten where.
        ErrorCode::DuplicateSequence => Verdict::Stored,
        ErrorCode::OutOfOrderSequence => Verdict::OutOfSequence,
        ErrorCode::UnknownProducer => Verdict::Unknown,
        ErrorCode::FencedProducerEpoch => Verdict::Refused { fenced: true },
        code => match code.retry() {
            Retry::Later | Retry::AfterRefresh => Verdict::Again { uncertain: false },
            Retry::SameSequence => Verdict::Again { uncertain: true },
            Retry::Never => Verdict::Refused { fenced: false },
        },
    }
}
