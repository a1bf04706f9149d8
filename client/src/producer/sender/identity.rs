//! The producer's id and epoch: had when first needed, raised when a partition needs to be fenced anew.

use thalweg_protocol::ErrorCode;
use thalweg_protocol::native::{InitProducerRequest, InitProducerResponse};

use super::super::sequence::Identity;
use super::{Event, Line, Sender};
use crate::error::{AdminError, CallError, SendError};
use crate::router::Target;

/// What the producer has of an identity.
#[derive(Debug)]
pub(super) struct IdentityState {
    idempotent: bool,
    /// For lines that have none yet.
    current: Option<Identity>,
    /// The newest one ever had; the next is asked for as its successor.
    newest: Option<Identity>,
    wanted: bool,
    running: bool,
}

impl IdentityState {
    pub(super) const fn new(idempotent: bool) -> Self {
        Self { idempotent, current: None, newest: None, wanted: false, running: false }
    }

    /// Gives a line an identity that it did not have before, if there is one.
    pub(super) fn give(&mut self, line: &mut Line) -> bool {
        match self.current {
            Some(identity) if line.identity != Some(identity) => {
                line.identity = Some(identity);
                line.lineup.identify(identity);
                true
            }
            _ => {
                self.wanted = true;
                false
            }
        }
    }

    /// Whether [`Self::give`] would give it one.
    #[cfg(test)]
    pub(super) fn could_give(&self, line: &Line) -> bool {
        self.current.is_some_and(|identity| line.identity != Some(identity))
    }

    /// Whether another one is on its way.
    #[cfg(test)]
    pub(super) const fn is_asked(&self) -> bool {
        self.running
    }

    /// Nobody gets the present identity any more.
    pub(super) const fn outdate(&mut self) {
        self.current = None;
    }
}

impl Sender {
    /// Asks for an identity when a line waits for one.
    pub(super) fn identify(&mut self) {
        let state = &mut self.identity;
        if !state.wanted || state.running || !state.idempotent {
            return;
        }
        state.wanted = false;
        state.running = true;
        let so_far = state.newest.unwrap_or(Identity::NONE);
        let request = InitProducerRequest {
            transactional_id: None,
            producer: so_far.producer,
            epoch: so_far.epoch,
        };
        let router = self.router.clone();
        self.events.push(Box::pin(async move {
            let operation = "get a producer id";
            let asked = router.administer(operation, Target::Any, &request, |answer, _| Ok(answer));
            Event::Identified(asked.await)
        }));
    }

    pub(super) fn identified(&mut self, outcome: Result<InitProducerResponse, AdminError>) {
        self.identity.running = false;
        self.mark_all();
        match outcome {
            Ok(answer) => {
                let identity = Identity { producer: answer.producer, epoch: answer.epoch };
                tracing::debug!(producer = %identity.producer, epoch = %identity.epoch, "identified");
                self.identity.newest = Some(identity);
                self.identity.current = Some(identity);
            }
            // Tried again as long as there are records; those end by their own deadline.
            Err(AdminError::Unreachable { last, .. }) => self.last_trouble = last.to_string(),
            // Another cluster stands where the one was that gave the id out: its successor is a new id.
            Err(AdminError::Refused { code: ErrorCode::UnknownProducer, message, .. })
                if self.identity.newest.is_some() =>
            {
                self.last_trouble = message;
                self.identity.newest = None;
                self.identity.wanted = true;
            }
            Err(AdminError::Refused { code, message, .. }) => {
                self.last_trouble = format!("{message} ({code})");
                let error = thalweg_protocol::native::ApiError::new(code, message);
                self.fail_unidentified(&SendError::NoProducerId {
                    waited_ms: 0,
                    last: CallError::Refused {
                        address: "the brokers".to_owned(),
                        api: "InitProducer",
                        error,
                    },
                });
            }
            Err(AdminError::Config(_)) => {}
        }
    }

    /// Without an identity nothing that waits for one can be sent.
    fn fail_unidentified(&mut self, error: &SendError) {
        let waiting = |index: &usize| {
            let line = self.lines.get(index);
            line.is_some_and(|line| line.lineup.needs_identity())
        };
        let waiting: Vec<_> = self.active.iter().copied().filter(waiting).collect();
        for index in waiting {
            while let Some(batch) =
                self.lines.get_mut(&index).and_then(|line| line.requeued.pop_front())
            {
                self.fail(index, &batch, error.clone());
            }
            while let Some(gathered) = self.lines.get(&index).and_then(|line| line.queue.take()) {
                self.fail_gathered(index, &gathered, error.clone());
            }
        }
    }
}
