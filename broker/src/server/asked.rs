//! One request on its way through a connection: what it spends its time on, and what is counted of it.
//!
//! Reads the clock at the end of each phase, and takes no memory for a request: what answers are counted on
//! waits in a queue that keeps its room.

use std::collections::VecDeque;
use std::sync::Arc;

use thalweg_protocol::ErrorCode;
use thalweg_protocol::codec::Chunks;
use thalweg_storage::Hold;

use super::budget::{Budget, Part};
use crate::api::{Failure, Response};
use crate::base::{Clock, Monotonic};
use crate::frontend::native::{encode, encode_failure};
use crate::metrics::{ConnectionMetrics, Phase, RequestMetrics, UnderWay};

/// Answers with so many bytes in memory of their own are not counted: each connection may hold them.
const SMALL_BYTES: usize = 64 * 1024;

/// A request that has no answer yet.
pub(super) struct Asked {
    correlation: u32,
    times: Times,
    clock: Arc<dyn Clock>,
    _under_way: UnderWay,
}

/// What is counted of one request, and since when.
struct Times {
    /// Nothing for a number that is no request.
    metrics: Option<Arc<RequestMetrics>>,
    /// When it was read as a whole.
    arrived: Monotonic,
    /// When the phase began that it is in.
    phase_began: Monotonic,
}

impl Times {
    /// A phase ends, and the next one begins.
    fn spent(&mut self, phase: Phase, now: Monotonic) {
        if let Some(metrics) = &self.metrics {
            metrics.spent(phase, now.since(self.phase_began));
        }
        self.phase_began = now;
    }

    fn ended(&self, now: Monotonic) {
        if let Some(metrics) = &self.metrics {
            metrics.ended(now.since(self.arrived));
        }
    }

    fn failed(&self, code: ErrorCode) {
        if let Some(metrics) = &self.metrics {
            metrics.failed(code);
        }
    }

    fn count(&self, failures: impl IntoIterator<Item = ErrorCode>) {
        if let Some(metrics) = &self.metrics {
            metrics.answered();
            failures.into_iter().for_each(|code| metrics.failed(code));
        }
    }
}

impl Asked {
    /// A request that is begun now and was read at `arrived`.
    pub(super) fn new(
        correlation: u32,
        metrics: Option<Arc<RequestMetrics>>,
        arrived: Monotonic,
        clock: &Arc<dyn Clock>,
        connections: &ConnectionMetrics,
    ) -> Self {
        let mut times = Times { metrics, arrived, phase_began: arrived };
        times.spent(Phase::Queue, clock.now());
        Self { correlation, times, clock: Arc::clone(clock), _under_way: connections.request() }
    }

    /// The request was carried out at once.
    pub(super) fn answer(self, answer: Result<Response, Failure>, memory: &Arc<Budget>) -> Answer {
        self.answer_after(Phase::Handling, answer, memory)
    }

    /// The request was begun, and waits.
    pub(super) fn wait(mut self) -> Waiting {
        self.times.spent(Phase::Handling, self.clock.now());
        let waits = self.times.metrics.as_ref().map(|metrics| metrics.wait());
        Waiting { asked: self, _waits: waits }
    }

    /// The request was carried out, and its client wants no answer.
    pub(super) fn silent(mut self, failure: Option<ErrorCode>) {
        let now = self.clock.now();
        self.times.spent(Phase::Handling, now);
        self.times.ended(now);
        self.times.count(failure);
    }

    fn answer_after(
        mut self,
        phase: Phase,
        answer: Result<Response, Failure>,
        memory: &Arc<Budget>,
    ) -> Answer {
        self.times.spent(phase, self.clock.now());
        match &answer {
            Ok(response) => self.times.count(response.failures()),
            Err(failure) => self.times.count([failure.code]),
        }
        let log_bytes = answer.as_ref().map_or(0, Response::log_bytes);
        let holds = answer.as_ref().map(Response::holds).unwrap_or_default();
        let changes = answer.as_ref().is_ok_and(Response::changes);
        let chunks = match answer {
            Ok(response) => encode(self.correlation, response),
            Err(failure) => encode_failure(self.correlation, failure),
        };
        let copied_bytes = length(&chunks).saturating_sub(log_bytes);
        let times = self.times;
        if copied_bytes <= SMALL_BYTES {
            return Answer { chunks, holds, copied_bytes, times, memory: None };
        }
        let Some(part) = memory.try_take(copied_bytes) else {
            let failure = no_memory(copied_bytes, memory.bytes_max(), changes);
            times.failed(failure.code);
            let chunks = encode_failure(self.correlation, failure);
            let copied_bytes = length(&chunks);
            return Answer { chunks, holds: Vec::new(), copied_bytes, times, memory: None };
        };
        Answer { chunks, holds, copied_bytes, times, memory: Some(part) }
    }
}

fn length(chunks: &Chunks) -> usize {
    chunks.iter().map(bytes::Bytes::len).sum()
}

/// What a client hears instead of a large answer while others take theirs too slowly.
fn no_memory(bytes: usize, bytes_max: usize, changes: bool) -> Failure {
    let (code, so) = if changes {
        (ErrorCode::OutcomeUnknown, "the request was carried out")
    } else {
        (ErrorCode::Overloaded, "nothing was changed, try again")
    };
    Failure::new(
        code,
        format!(
            "the answer of {bytes} bytes does not fit beside those that clients have not taken yet, \
             limits.answer_memory_bytes_max is {bytes_max}; {so}"
        ),
    )
}

/// A request that waits for its answer.
pub(super) struct Waiting {
    asked: Asked,
    _waits: Option<UnderWay>,
}

impl Waiting {
    /// The wait is over.
    pub(super) fn answer(self, answer: Result<Response, Failure>, memory: &Arc<Budget>) -> Answer {
        self.asked.answer_after(Phase::Waiting, answer, memory)
    }
}

/// An answer that is ready to be sent.
pub(super) struct Answer {
    /// The frame.
    pub(super) chunks: Chunks,
    /// What it keeps on the disk until it is sent.
    pub(super) holds: Vec<Hold>,
    /// Bytes of it that lie in memory of its own.
    copied_bytes: usize,
    times: Times,
    /// Its part of the memory for large answers.
    memory: Option<Part>,
}

/// The answers whose bytes have not all been taken by the socket, in the order in which they leave.
#[derive(Default)]
pub(super) struct Departures {
    waiting: VecDeque<Departure>,
    written: u64,
    copied_bytes: usize,
}

/// One answer on its way.
struct Departure {
    /// The place of its end among all bytes that this connection sends.
    end: u64,
    copied_bytes: usize,
    times: Times,
    _memory: Option<Part>,
}

impl Departures {
    /// `answer` is the last of `bytes` that wait to be written; hands out its chunks.
    pub(super) fn push(&mut self, answer: Answer, waiting_bytes: usize) -> Chunks {
        let Answer { chunks, copied_bytes, times, memory, .. } = answer;
        let bytes = length(&chunks) + waiting_bytes;
        self.copied_bytes += copied_bytes;
        let end = self.written + bytes as u64;
        self.waiting.push_back(Departure { end, copied_bytes, times, _memory: memory });
        chunks
    }

    /// How many answers wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes of the answers that wait lie in memory of their own.
    pub(super) const fn copied_bytes(&self) -> usize {
        self.copied_bytes
    }

    /// The socket took so many bytes more.
    pub(super) fn written(&mut self, bytes: usize, clock: &dyn Clock) {
        self.written += bytes as u64;
        if self.waiting.front().is_none_or(|next| next.end > self.written) {
            return;
        }
        let now = clock.now();
        while let Some(mut gone) = self.waiting.pop_front_if(|next| next.end <= self.written) {
            self.copied_bytes -= gone.copied_bytes;
            gone.times.spent(Phase::Sending, now);
            gone.times.ended(now);
        }
    }
}
