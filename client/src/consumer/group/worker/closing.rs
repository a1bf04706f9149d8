//! The end of a membership: on closing, on dropping the handle, and for a while when the application asks for nothing
//! any more. Always in this order: what is done is committed, the answer is waited for, the member leaves.

use std::time::Duration;

use tokio::sync::oneshot;

use super::super::event::GroupEvent;
use super::super::member::{Effect, Member};
use super::commits::Purpose;
use super::{Command, Worker};
use crate::clock::{Instant, millis};
use crate::consumer::commit::CommitError;
use crate::error::CallError;

/// How far leaving is.
pub(super) struct Closing {
    then: Then,
    begun: Instant,
    /// The stage is waited for until then.
    until: Instant,
    outcome: Result<(), CommitError>,
    stage: Stage,
}

/// What comes after leaving.
enum Then {
    /// The task ends.
    End { for_good: bool, reply: Option<oneshot::Sender<Result<(), CommitError>>> },
    /// The member comes back when the application asks again.
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The last commit, and what was to be committed before it, is on its way.
    Committing,
    /// The member is leaving.
    Leaving,
    /// All is done.
    Done,
}

/// The part of the close timeout that is kept for leaving: a coordinator that hears of it gives the partitions to
/// others at once, one that does not waits for the session to end.
const LEAVING_SHARE: u32 = 4;

impl Closing {
    /// Whether the task ends with it.
    pub(super) const fn is_last(&self) -> bool {
        matches!(self.then, Then::End { .. })
    }

    /// The member has left, or the time for it is over.
    fn is_over(&self, now: Instant) -> bool {
        self.stage == Stage::Done || (self.stage == Stage::Leaving && now >= self.until)
    }
}

impl Worker {
    /// Commits what is done, leaves, ends: within the close timeout, whatever the brokers do.
    pub(super) fn close(
        &mut self,
        for_good: bool,
        reply: Option<oneshot::Sender<Result<(), CommitError>>>,
    ) {
        // What was asked for before comes before.
        while let Ok(Command::Commit { items, reply }) = self.commands.try_recv() {
            self.commit_explicitly(items, reply);
        }
        let items = self.last_items();
        {
            let mut board = self.shared.board();
            let all: Vec<_> = (0..board.tracks.len()).collect();
            board.drop_now(&all);
            board.hold_open(false);
        }
        self.go(Then::End { for_good, reply }, items);
    }

    /// What is done and not committed, unless that is left to the application.
    fn last_items(&self) -> Vec<super::CommitItem> {
        if self.commits.are_manual() { Vec::new() } else { self.done_of(None) }
    }

    fn go(&mut self, then: Then, items: Vec<super::CommitItem>) {
        let begun = crate::clock::now();
        let timeout = self.options.group.close_timeout;
        let until = begun + timeout.saturating_sub(timeout / LEAVING_SHARE);
        if let Some(member) = &mut self.member {
            member.retire();
        }
        let stage = if items.is_empty() && !self.commits.is_waiting() {
            Stage::Leaving
        } else {
            self.queue_commit(items, Purpose::Closing, until);
            Stage::Committing
        };
        self.closing = Some(Closing { then, begun, until, outcome: Ok(()), stage });
    }

    pub(super) fn go_on_closing(&mut self, now: Instant) {
        let Some(closing) = &self.closing else {
            return;
        };
        if closing.stage == Stage::Committing
            && let Some(outcome) = self.last_commit(closing.begun, closing.until, now)
            && let Some(closing) = &mut self.closing
        {
            closing.outcome = outcome;
            closing.stage = Stage::Leaving;
            closing.until = now + self.options.group.close_timeout / LEAVING_SHARE;
        }
        if let Some(closing) = &self.closing
            && closing.stage == Stage::Leaving
        {
            let for_good = matches!(closing.then, Then::End { for_good: true, .. });
            let mut effects = Vec::new();
            match &mut self.member {
                Some(member) => member.leave(for_good, now, &mut effects),
                None => effects.push(Effect::Left),
            }
            self.perform(effects);
            self.send_heartbeat(now);
        }
        if let Some(closing) = &self.closing {
            self.wake_at = self.wake_at.min(closing.until);
            if closing.is_over(now) && !closing.is_last() {
                self.begin_to_rest();
            }
        }
    }

    /// What became of the last commit; none while it may still be answered.
    fn last_commit(
        &mut self,
        begun: Instant,
        until: Instant,
        now: Instant,
    ) -> Option<Result<(), CommitError>> {
        if let Some(outcome) = self.commits.take_closed() {
            return Some(outcome);
        }
        let (group, is_in_flight) = (self.group.clone(), self.commits.is_in_flight());
        if !is_in_flight && self.member.as_ref().is_some_and(|member| !member.is_joined()) {
            let message = "its membership ended before".to_owned();
            return Some(Err(CommitError::NotMember { group, message }));
        }
        if now < until {
            return None;
        }
        let waited_ms = u64::from(millis(now - begun));
        let last = match &self.coordinator {
            Some(address) if is_in_flight => {
                let (address, api) = (address.to_string(), "CommitOffsets");
                CallError::TimedOut { address, api, waited_ms }
            }
            _ => self.commits.last_trouble().unwrap_or(CallError::NoCoordinator),
        };
        Some(Err(CommitError::Unreachable { group, waited_ms, last }))
    }

    pub(super) fn has_left(&mut self) {
        if let Some(closing) = &mut self.closing
            && closing.stage == Stage::Leaving
        {
            closing.stage = Stage::Done;
        }
    }

    /// Whether the task has nothing more to do.
    pub(super) fn has_ended(&self) -> bool {
        let is_over = |closing: &Closing| closing.is_last() && closing.is_over(crate::clock::now());
        self.closing.as_ref().is_some_and(is_over)
    }

    /// The member has left, for a while.
    fn begin_to_rest(&mut self) {
        if let Some(closing) = self.closing.take() {
            self.tell_failure(closing.outcome);
        }
        if let Some(member) = &mut self.member {
            member.forget();
        }
        self.rests = true;
        self.wake_at = self.wake_at.min(crate::clock::now() + POLLS_LOOKED_AT);
    }

    /// The last words of the task.
    pub(super) fn end(self) {
        if let Some(closing) = self.closing
            && let Then::End { reply: Some(reply), .. } = closing.then
        {
            let _ = reply.send(closing.outcome);
        }
    }

    /// Notices an application that has stopped to ask, and one that asks again.
    pub(super) fn look_at_polls(&mut self, now: Instant) {
        let polls = self.shared.polls();
        let waits = self.shared.board().is_waited_for();
        let asks = polls != self.polls_seen || waits;
        self.polls_seen = polls;
        if asks || self.held.is_empty() {
            self.polled = now;
        }
        let Some(member) = self.member.as_mut().filter(|_| self.closing.is_none()) else {
            return;
        };
        if self.rests {
            if asks {
                self.rests = false;
                member.join_again(now);
            } else {
                self.wake_at = self.wake_at.min(now + POLLS_LOOKED_AT);
            }
            return;
        }
        if self.held.is_empty() {
            return;
        }
        let (waited, limit) = (now - self.polled, self.options.group.max_poll_interval);
        if waited >= limit {
            self.rest(waited);
        } else {
            self.wake_at = self.wake_at.min((self.polled + limit).max(now + POLLS_LOOKED_AT));
        }
    }

    fn rest(&mut self, waited: Duration) {
        let event = GroupEvent::PollOverdue { waited };
        self.shared.board().push_event(event.clone(), Vec::new());
        self.tell(&event);
        let items = self.last_items();
        let mut effects = Vec::new();
        if let Some(member) = &mut self.member {
            member.give_up("the application asks for no records", &mut effects);
        }
        self.perform(effects);
        self.go(Then::Rest, items);
    }

    /// The life that the member is in; none without a membership.
    pub(super) fn life(&self) -> Option<u64> {
        self.member.as_ref().map(Member::life)
    }
}

/// How often to look whether a resting application asks again.
const POLLS_LOOKED_AT: Duration = Duration::from_millis(100);
