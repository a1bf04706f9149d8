//! One request on its way through a connection: what it spends its time on, and what is counted of it.
//!
//! Reads the clock at the end of each phase, and takes no memory for a request: what answers are counted on
//! waits in a queue that keeps its room.

use std::collections::VecDeque;
use std::sync::Arc;

use thalweg_protocol::ErrorCode;
use thalweg_protocol::codec::Chunks;

use crate::api::{Failure, Response};
use crate::base::{Clock, Monotonic};
use crate::frontend::native::{encode, encode_failure};
use crate::metrics::{ConnectionMetrics, Phase, RequestMetrics, UnderWay};

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
    pub(super) fn answer(self, answer: Result<Response, Failure>) -> Answer {
        self.answer_after(Phase::Handling, answer)
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

    fn answer_after(mut self, phase: Phase, answer: Result<Response, Failure>) -> Answer {
        self.times.spent(phase, self.clock.now());
        match &answer {
            Ok(response) => self.times.count(response.failures()),
            Err(failure) => self.times.count([failure.code]),
        }
        let chunks = match answer {
            Ok(response) => encode(self.correlation, response),
            Err(failure) => encode_failure(self.correlation, failure),
        };
        Answer { chunks, times: self.times }
    }
}

/// A request that waits for its answer.
pub(super) struct Waiting {
    asked: Asked,
    _waits: Option<UnderWay>,
}

impl Waiting {
    /// The wait is over.
    pub(super) fn answer(self, answer: Result<Response, Failure>) -> Answer {
        self.asked.answer_after(Phase::Waiting, answer)
    }
}

/// An answer that is ready to be sent.
pub(super) struct Answer {
    /// The frame.
    pub(super) chunks: Chunks,
    times: Times,
}

/// The answers whose bytes have not all been taken by the socket, in the order in which they leave.
#[derive(Default)]
pub(super) struct Departures {
    /// Each with the place of its end among all bytes that this connection sends.
    waiting: VecDeque<(u64, Times)>,
    written: u64,
}

impl Departures {
    /// `answer` is the last of `bytes` that wait to be written; hands out its chunks.
    pub(super) fn push(&mut self, answer: Answer, waiting_bytes: usize) -> Chunks {
        let bytes = answer.chunks.iter().map(bytes::Bytes::len).sum::<usize>() + waiting_bytes;
        self.waiting.push_back((self.written + bytes as u64, answer.times));
        answer.chunks
    }

    /// The socket took so many bytes more.
    pub(super) fn written(&mut self, bytes: usize, clock: &dyn Clock) {
        self.written += bytes as u64;
        if self.waiting.front().is_none_or(|(end, _)| *end > self.written) {
            return;
        }
        let now = clock.now();
        while let Some((_, mut times)) = self.waiting.pop_front_if(|(end, _)| *end <= self.written)
        {
            times.spent(Phase::Sending, now);
            times.ended(now);
        }
    }
}
