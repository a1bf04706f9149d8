//! The task that carries out what the member says: heartbeats, beginning and letting go of partitions, commits.
//!
//! Owns what is in flight to the coordinator, and where that is. Runs apart from the application: its queue of commands
//! holds 64, and who sends more waits.

mod calls;
mod closing;
mod commits;
mod partitions;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thalweg_protocol::TopicPartition;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::event::GroupEvent;
use super::known::Known;
use super::member::{Effect, Failure, Member, Rules};
use crate::clock::{Instant, now};
use crate::consumer::commit::CommitError;
use crate::consumer::fetcher::Shared;
use crate::consumer::options::ConsumerOptions;
use crate::error::{CallError, ConsumeError};
use crate::retry::Backoff;
use crate::router::Router;

use calls::Outcome;
use closing::Closing;
pub(crate) use commits::CommitItem;
use commits::Commits;
use partitions::Held;

/// What the handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Commit these offsets.
    Commit { items: Vec<CommitItem>, reply: oneshot::Sender<Result<(), CommitError>> },
    /// Commit what is done, leave the group, end.
    Close { for_good: bool, reply: oneshot::Sender<Result<(), CommitError>> },
}

/// The handle's side.
#[derive(Debug)]
pub(crate) struct GroupHandle {
    commands: mpsc::Sender<Command>,
    shown: Arc<Mutex<Shown>>,
}

/// What the handle may see of the member.
#[derive(Debug, Default)]
struct Shown {
    /// Its id in its present life; empty without a membership.
    member: String,
    /// Why the last heartbeat came to nothing.
    trouble: Option<CallError>,
}

/// Commands that wait.
const COMMANDS_MAX: usize = 64;

/// The longest sleep, when nothing is to be done.
const IDLE: Duration = Duration::from_mins(1);

impl GroupHandle {
    /// Hands a command to the task; false when that has ended.
    pub(crate) async fn send(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    pub(crate) fn member_id(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).member.clone()
    }

    /// Why the member is not in the group yet.
    pub(crate) fn trouble(&self) -> Option<CallError> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

/// What a task begins with.
pub(crate) struct GroupStart {
    pub(crate) router: Arc<Router>,
    pub(crate) options: Arc<ConsumerOptions>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
    /// What there was to read when the consumer was made; none where that makes no difference.
    pub(crate) known: Option<Known>,
}

pub(crate) struct Worker {
    router: Arc<Router>,
    options: Arc<ConsumerOptions>,
    group: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    known: Option<Known>,
    commands: mpsc::Receiver<Command>,
    /// None without a membership.
    member: Option<Member>,
    shown: Arc<Mutex<Shown>>,
    /// Told once: the coordinator knows the member, or never will.
    joined: Option<oneshot::Sender<Result<(), ConsumeError>>>,
    coordinator: Option<Arc<str>>,
    finding: bool,
    find_at: Instant,
    find_backoff: Backoff,
    held: BTreeMap<TopicPartition, Held>,
    /// Counts what was begun, so that an answer about an earlier time means nothing.
    begun: u64,
    /// Offsets are being asked for; these wait for the next question.
    asking: bool,
    ask_at: Instant,
    ask_backoff: Backoff,
    commits: Commits,
    closing: Option<Closing>,
    polls_seen: u64,
    polled: Instant,
    /// The member has left, until the application asks again.
    rests: bool,
    outcomes: FuturesUnordered<BoxFuture<'static, Outcome>>,
    wake_at: Instant,
}

impl GroupStart {
    /// Starts the task. The receiver hears when the member is in the group; nothing is sent to it without a membership.
    pub(crate) fn spawn(self) -> (GroupHandle, oneshot::Receiver<Result<(), ConsumeError>>) {
        let begun = now();
        let group = &self.options.group;
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (joined, hears) = oneshot::channel();
        let rules = Rules {
            session_timeout: group.session_timeout,
            drain_timeout: group.drain_timeout,
            is_static: group.instance.is_some(),
            backoff: self.router.backoff(),
        };
        let is_member = group.subscription.is_some();
        let member = is_member.then(|| Member::new(rules, fastrand::Rng::new(), begun));
        let id = member.as_ref().map(|member| member.id().to_owned()).unwrap_or_default();
        let shown = Arc::new(Mutex::new(Shown { member: id, trouble: None }));
        self.shared.board().hold_open(is_member);
        let worker = Worker {
            group: group.group.clone().unwrap_or_default(),
            commits: Commits::new(group.auto_commit, begun),
            find_backoff: self.router.backoff(),
            ask_backoff: self.router.backoff(),
            router: self.router,
            options: self.options,
            shared: self.shared,
            stop: self.stop,
            known: self.known,
            commands,
            member,
            shown: shown.clone(),
            joined: Some(joined),
            coordinator: None,
            finding: false,
            find_at: begun,
            held: BTreeMap::new(),
            begun: 0,
            asking: false,
            ask_at: begun,
            closing: None,
            polls_seen: 0,
            polled: begun,
            rests: false,
            outcomes: FuturesUnordered::new(),
            wake_at: begun,
        };
        tokio::spawn(worker.run());
        (GroupHandle { commands: sender, shown }, hears)
    }
}

impl Worker {
    /// Runs until the member has left: the handle closed or dropped it.
    async fn run(mut self) {
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        loop {
            self.work();
            if self.has_ended() {
                self.end();
                return;
            }
            let is_closing = self.closing.as_ref().is_some_and(Closing::is_last);
            tokio::select! {
                () = stop.cancelled(), if !is_closing => self.close(false, None),
                Some(command) = self.commands.recv(), if !is_closing => self.carry_out(command),
                Some(outcome) = self.outcomes.next(), if !self.outcomes.is_empty() => {
                    self.take(outcome);
                }
                () = shared.let_go.notified() => {}
                () = sleep_until(self.wake_at) => {}
            }
        }
    }

    fn work(&mut self) {
        let now = now();
        self.wake_at = now + IDLE;
        let mut effects = Vec::new();
        if let Some(member) = &mut self.member {
            member.tick(now, &mut effects);
        }
        self.perform(effects);
        self.look_at_polls(now);
        self.let_go_of_what_is_done(now);
        self.find_coordinator(now);
        self.send_heartbeat(now);
        self.ask_for_offsets(now);
        self.commit_what_is_due(now);
        self.go_on_closing(now);
        if let Some(at) = self.member.as_ref().and_then(Member::wake_at) {
            // Without a coordinator a heartbeat that is due waits for it.
            let at = if self.coordinator.is_some() { at } else { at.max(self.find_at) };
            self.wake_at = self.wake_at.min(at.max(now + TICK));
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Commit { items, reply } => self.commit_explicitly(items, reply),
            Command::Close { for_good, reply } => self.close(for_good, Some(reply)),
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Take(targets) => self.begin(targets),
                Effect::LetGo { partitions, until } => self.begin_to_let_go(&partitions, until),
                Effect::Drop { partitions, reason } => self.drop_partitions(&partitions, reason),
                Effect::Joined => {
                    self.show_member();
                    if let Some(joined) = self.joined.take() {
                        let _ = joined.send(Ok(()));
                    }
                }
                Effect::Left => self.has_left(),
                Effect::Fail(error) => self.fail(&error),
            }
        }
        self.hold_board_open();
    }

    fn show_member(&self) {
        if let Some(member) = &self.member {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            member.id().clone_into(&mut shown.member);
        }
    }

    fn show_trouble(&self, error: &CallError) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.trouble = Some(error.clone());
    }

    /// There can be no membership: the application hears why, and the stream ends.
    fn fail(&mut self, error: &thalweg_protocol::native::ApiError) {
        let error = ConsumeError::Refused {
            operation: format!("read in group {}", self.group),
            code: error.code,
            message: error.message.clone(),
        };
        match self.joined.take() {
            Some(joined) => drop(joined.send(Err(error))),
            None => self.shared.board().push_error(error),
        }
        self.shared.board().hold_open(false);
    }

    /// Tells the listener at once. The handle hears of it in its order.
    fn tell(&self, event: &GroupEvent) {
        tracing::debug!(group = %self.group, ?event, "group event");
        if let Some(listener) = &self.options.group.listener {
            listener(event);
        }
    }
}

/// The shortest sleep: a deadline that has just passed is looked at again after this.
const TICK: Duration = Duration::from_millis(1);
