//! Partitions that go to others: waited for, committed, let go; or lost at once.

use thalweg_protocol::TopicPartition;

use super::super::Worker;
use super::super::commits::Purpose;
use super::{Held, Stage};
use crate::clock::{Instant, now};
use crate::consumer::group::event::GroupEvent;

impl Worker {
    /// These go to others: no more of them is handed out, and what is in hand is waited for.
    pub(in super::super) fn begin_to_let_go(
        &mut self,
        partitions: &[TopicPartition],
        until: Instant,
    ) {
        let asked = now();
        let (mut indexes, mut names, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
        for at in partitions {
            let Some(held) = self.held.get_mut(at) else {
                at_once.push(*at);
                continue;
            };
            names.push(held.named(*at));
            if let Some(index) = held.index() {
                held.stage = Stage::LettingGo { index, until };
                indexes.push(index);
            } else {
                self.held.remove(at);
                at_once.push(*at);
            }
        }
        if !names.is_empty() {
            let event = GroupEvent::Revoking {
                partitions: names,
                within: until.saturating_duration_since(asked),
            };
            self.shared.board().let_go(&indexes, event.clone());
            self.shared.wake.notify_one();
            self.tell(&event);
        }
        if let Some(member) = &mut self.member {
            member.let_go(&at_once, asked);
        }
    }

    /// Commits what the application is done with, and says so.
    pub(in super::super) fn let_go_of_what_is_done(&mut self, now: Instant) {
        let (mut in_time, mut late) = (Vec::new(), Vec::new());
        {
            let board = self.shared.board();
            for (at, held) in &self.held {
                if let Stage::LettingGo { index, until, .. } = held.stage {
                    if board.has_let_go(index) {
                        in_time.push((*at, index));
                    } else if now >= until {
                        late.push((*at, index));
                    } else {
                        self.wake_at = self.wake_at.min(until);
                    }
                }
            }
        }
        for (partitions, in_time) in [(in_time, true), (late, false)] {
            if !partitions.is_empty() {
                self.commit_and_let_go(&partitions, in_time, now);
            }
        }
        let overdue =
            |held: &Held| matches!(held.stage, Stage::Committing { until } if now >= until);
        let overdue: Vec<_> =
            self.held.iter().filter(|(_, held)| overdue(held)).map(|(at, _)| *at).collect();
        if !overdue.is_empty() {
            self.have_let_go(&overdue);
        }
    }

    fn commit_and_let_go(
        &mut self,
        partitions: &[(TopicPartition, usize)],
        in_time: bool,
        now: Instant,
    ) {
        let (mut ats, mut names) = (Vec::new(), Vec::new());
        let until = now + self.options.group.close_timeout;
        for (at, _) in partitions {
            if let Some(held) = self.held.get_mut(at) {
                held.stage = Stage::Committing { until };
                names.push(held.named(*at));
                ats.push(*at);
            }
        }
        self.wake_at = self.wake_at.min(until);
        let event = GroupEvent::Revoked { partitions: names, in_time };
        self.shared.board().push_event(event.clone(), Vec::new());
        self.tell(&event);
        let indexes: Vec<_> = partitions.iter().map(|(_, index)| *index).collect();
        let items = self.done_of(Some(&indexes));
        if items.is_empty() || self.commits.are_manual() {
            self.have_let_go(&ats);
        } else {
            self.queue_commit(items, Purpose::LettingGo(ats), until);
        }
    }

    /// These are let go of: the next heartbeat, at once, says so.
    pub(in super::super) fn have_let_go(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            let done = |held: &Held| matches!(held.stage, Stage::Committing { .. });
            if self.held.get(at).is_some_and(done) {
                self.held.remove(at);
            }
        }
        if let Some(member) = &mut self.member {
            member.let_go(partitions, now());
        }
        self.hold_board_open();
    }

    /// These are lost: others may read them already.
    pub(in super::super) fn drop_partitions(
        &mut self,
        partitions: &[TopicPartition],
        reason: String,
    ) {
        let (mut indexes, mut names) = (Vec::new(), Vec::new());
        for at in partitions {
            if let Some(held) = self.held.remove(at) {
                indexes.extend(held.index());
                names.push(held.named(*at));
            }
        }
        if names.is_empty() {
            return;
        }
        let event = GroupEvent::Lost { partitions: names, reason };
        {
            let mut board = self.shared.board();
            board.drop_now(&indexes);
            board.push_event(event.clone(), Vec::new());
        }
        self.shared.wake.notify_one();
        self.tell(&event);
    }
}
