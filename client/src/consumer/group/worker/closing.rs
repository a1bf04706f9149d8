//! The end of a membership: on closing, on dropping the handle, and when the application asks for nothing any more.

use tokio::sync::oneshot;

use super::super::event::GroupEvent;
use super::super::member::Effect;
use super::Worker;
use crate::clock::Instant;
use crate::consumer::commit::CommitError;

/// How far closing is.
pub(super) struct Closing {
    for_good: bool,
    reply: Option<oneshot::Sender<Result<(), CommitError>>>,
    deadline: Instant,
    outcome: Result<(), CommitError>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The last commit is on its way.
    Committing,
    /// The member is leaving.
    Leaving,
    /// All is done.
    Done,
}

impl Worker {
    /// Commits what is done, leaves, ends: within the close timeout, whatever the brokers do.
    pub(super) fn close(
        &mut self,
        for_good: bool,
        reply: Option<oneshot::Sender<Result<(), CommitError>>>,
    ) {
        let deadline = crate::clock::now() + self.options.group.close_timeout;
        let items = if self.commits.are_manual() { Vec::new() } else { self.done_of(None) };
        {
            let mut board = self.shared.board();
            let all: Vec<_> = (0..board.tracks.len()).collect();
            board.drop_now(&all);
            board.hold_open(false);
        }
        let stage = if items.is_empty() && !self.commits.is_waiting() {
            Stage::Leaving
        } else {
            self.commits.on_closing(items, deadline);
            Stage::Committing
        };
        self.closing = Some(Closing { for_good, reply, deadline, outcome: Ok(()), stage });
    }

    pub(super) fn go_on_closing(&mut self, now: Instant) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        self.wake_at = self.wake_at.min(closing.deadline);
        if closing.stage == Stage::Committing {
            if let Some(outcome) = self.commits.take_closed() {
                closing.outcome = outcome;
                closing.stage = Stage::Leaving;
            } else if now >= closing.deadline {
                closing.outcome = Err(CommitError::Closed);
                closing.stage = Stage::Leaving;
            }
        }
        if closing.stage == Stage::Leaving {
            let mut effects = Vec::new();
            let for_good = closing.for_good;
            match &mut self.member {
                Some(member) => member.leave(for_good, now, &mut effects),
                None => effects.push(Effect::Left),
            }
            self.perform(effects, now);
            self.send_heartbeat(now);
        }
    }

    pub(super) fn has_left(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.stage = Stage::Done;
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        let now = crate::clock::now();
        self.closing.as_ref().is_some_and(|closing| {
            closing.stage == Stage::Done
                || (now >= closing.deadline && closing.stage == Stage::Leaving)
        })
    }

    /// The last words of the task.
    pub(super) fn end(self) {
        if let Some(closing) = self.closing
            && let Some(reply) = closing.reply
        {
            let _ = reply.send(closing.outcome);
        }
    }

    /// Notices an application that has stopped to ask, and one that asks again.
    pub(super) fn look_at_polls(&mut self, now: Instant) {
        let Some(member) = &mut self.member else {
            return;
        };
        let polls = self.shared.polls();
        let waits = self.shared.board().is_waited_for();
        if polls != self.polls_seen || waits || self.held.is_empty() {
            self.polls_seen = polls;
            self.polled = now;
        }
        let limit = self.options.group.max_poll_interval;
        if member.is_out() {
            if self.closing.is_none() && self.polled == now && (polls != 0 || waits) && self.rests {
                self.rests = false;
                member.join_again(now);
            } else if self.rests {
                self.wake_at = self.wake_at.min(now + POLLS_LOOKED_AT);
            }
            return;
        }
        let waited = now - self.polled;
        if waited < limit || self.held.is_empty() {
            if !self.held.is_empty() {
                self.wake_at = self.wake_at.min((self.polled + limit).max(now + POLLS_LOOKED_AT));
            }
            return;
        }
        self.rest(waited, now);
    }

    fn rest(&mut self, waited: std::time::Duration, now: Instant) {
        let event = GroupEvent::PollOverdue { waited };
        self.shared.board().push_event(event.clone(), Vec::new());
        self.tell(&event);
        let items = if self.commits.are_manual() { Vec::new() } else { self.done_of(None) };
        if !items.is_empty() {
            self.commits.on_letting_go(items, Vec::new(), now + self.options.group.close_timeout);
        }
        self.commit_what_is_due(now);
        let mut effects = Vec::new();
        if let Some(member) = &mut self.member {
            member.give_up("the application asks for no records", &mut effects);
            member.leave(false, now, &mut effects);
        }
        self.rests = true;
        self.perform(effects, now);
    }
}

/// How often to look whether a resting application asks again.
const POLLS_LOOKED_AT: std::time::Duration = std::time::Duration::from_millis(100);
