//! Reading as a member of a group: prints its share, commits what was printed, tells on standard error what happens
//! in the group.
//!
//! A record is done when its line was handed to the system. What is done is committed every second, before a partition
//! is given up, and at the end; so a kill at any moment repeats lines, and never skips one.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use thalweg_client::{
    Client, CommitError, ConsumeError, Consumer, Event, GroupEvent, GroupPartition, GroupState,
    OnOutOfRange,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, interval, timeout};

use super::format::Printer;
use super::read::{ConsumeArgs, Subject};
use crate::console::Console;
use crate::failure::Failure;

/// How often what was printed is committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long partitions that go to another member may wait for a slow reader of the output.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What the last commit and leaving may take.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// One member at work.
struct Member<'a> {
    args: &'a ConsumeArgs,
    group: &'a str,
    client: &'a Client,
    consumer: Consumer,
    commits: Interval,
    records: u64,
}

/// What comes next.
enum Step {
    Interrupted,
    Commit,
    Event(Option<Result<Event, ConsumeError>>),
}

/// Prints the member's share; says how many records that were.
pub(super) async fn read(
    args: &ConsumeArgs,
    group: &str,
    client: &Client,
    printer: &mut Printer,
    console: &mut Console,
) -> Result<u64, Failure> {
    let mut interrupted = pin!(interruption()?);
    let consumer = tokio::select! {
        joined = join(args, group, client) => joined?,
        () = &mut interrupted => return Ok(0),
    };
    let id = consumer.member_id().unwrap_or_default();
    console.note(&format!("group {group}: joined as member {id}"));
    let commits = interval(COMMIT_EVERY);
    let mut member = Member { args, group, client, consumer, commits, records: 0 };
    let result = member.print_all(printer, console, interrupted).await;
    let result = match result {
        // Who reads the output is gone: nobody knows what was seen of the last lines.
        Err(Failure::OutputClosed) => Err(Failure::OutputClosed),
        result => {
            let done = timeout(CLOSE_MAX, member.done(console)).await;
            let unanswered = |_| {
                console.note(
                    "warning: nobody has answered the last commit; what it says may be read again",
                );
                Ok(())
            };
            done.unwrap_or_else(unanswered).and(result)
        }
    };
    let records = member.records;
    match member.consumer.close().await {
        Ok(()) => console.note(&format!("group {group}: ended")),
        Err(error) => console.note(&format!("warning: {error}")),
    }
    result.map(|()| records)
}

async fn join(args: &ConsumeArgs, group: &str, client: &Client) -> Result<Consumer, ConsumeError> {
    let builder = client.consumer().group(group);
    let builder = match args.subject() {
        Subject::Topic(topic) => builder.subscribe([topic]),
        Subject::Pattern(pattern) => builder.subscribe_pattern(pattern),
    };
    let mut builder = builder
        .start_at(args.from.0)
        .session_timeout(args.session_timeout)
        .drain_timeout(DRAIN_MAX)
        .close_timeout(CLOSE_MAX)
        .on_out_of_range(OnOutOfRange::Fail)
        .manual_commit();
    if let Some(name) = &args.instance {
        builder = builder.instance(name);
    }
    if let Some(assignor) = args.assignor {
        builder = builder.assignor(assignor.name());
    }
    if args.ends() { builder.stop_at_end().build().await } else { builder.build().await }
}

/// SIGINT or SIGTERM: the member leaves at once.
fn interruption() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::failed(format!("cannot watch for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {},
            _ = terminate.recv() => {},
        }
    })
}

impl Member<'_> {
    async fn print_all(
        &mut self,
        printer: &mut Printer,
        console: &mut Console,
        mut interrupted: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Failure> {
        while self.args.count.is_none_or(|count| self.records < count) {
            match self.step(console, interrupted.as_mut()).await? {
                Step::Interrupted | Step::Event(None) => break,
                Step::Commit => {
                    // Nobody who wants to end waits for a coordinator that is gone.
                    tokio::select! {
                        done = self.done(console) => done?,
                        () = interrupted.as_mut() => break,
                    }
                    if self.args.ends() && self.has_nothing_to_read().await {
                        break;
                    }
                }
                Step::Event(Some(Ok(Event::Record(record)))) => {
                    printer.write(console.out(), &record)?;
                    self.records += 1;
                }
                Step::Event(Some(Ok(Event::Group(event)))) => tokio::select! {
                    heard = self.hear(&event, console) => heard?,
                    () = interrupted.as_mut() => break,
                },
                // It goes on trying; who follows wants to see what comes after the outage.
                Step::Event(Some(Err(error @ ConsumeError::Unreachable { .. })))
                    if self.args.follow =>
                {
                    console.note(&format!("warning: {error}; trying on"));
                }
                Step::Event(Some(Err(error))) => return Err(self.failure(error)),
            }
        }
        Ok(())
    }

    /// What comes next. What was printed becomes visible before it is waited for.
    async fn step(
        &mut self,
        console: &mut Console,
        mut interrupted: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<Step> {
        let mut next = pin!(self.consumer.next_event());
        let commits = &mut self.commits;
        poll_fn(|context| {
            if interrupted.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(Step::Interrupted));
            }
            if commits.poll_tick(context).is_ready() {
                return Poll::Ready(Ok(Step::Commit));
            }
            match next.as_mut().poll(context) {
                Poll::Ready(event) => Poll::Ready(Ok(Step::Event(event))),
                Poll::Pending => match console.flush() {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
            }
        })
        .await
    }

    /// All that was printed is done: commits it. A commit that fails is tried again with the next one.
    async fn done(&mut self, console: &mut Console) -> Result<(), Failure> {
        console.flush()?;
        match self.consumer.commit().await {
            Ok(()) => {}
            Err(error @ CommitError::NotMember { .. }) => console.note(&format!(
                "warning: {error}; what was not committed is read again, maybe by another member"
            )),
            Err(error) => console.note(&format!("warning: {error}")),
        }
        Ok(())
    }

    /// Tells what happens in the group; what is given up is committed first.
    async fn hear(&mut self, event: &GroupEvent, console: &mut Console) -> Result<(), Failure> {
        let group = self.group;
        match event {
            GroupEvent::Assigned { partitions } => {
                for one in partitions {
                    let why = if one.committed {
                        "where the group has committed"
                    } else {
                        "as the group has committed nothing there"
                    };
                    console.note(&format!(
                        "group {group}: reads {}/{} from offset {}, {why}",
                        one.topic, one.partition, one.offset
                    ));
                }
            }
            GroupEvent::Revoking { partitions, .. } => {
                self.done(console).await?;
                console.note(&format!("group {group}: gives up {}", named(partitions)));
            }
            GroupEvent::Revoked { in_time: true, .. } => {}
            GroupEvent::Revoked { partitions, in_time: false } => console.note(&format!(
                "warning: group {group}: {} went to others before all was printed, and is read again",
                named(partitions)
            )),
            GroupEvent::Lost { partitions, reason } => console.note(&format!(
                "warning: group {group}: lost {}: {reason}; what was not committed is read again",
                named(partitions)
            )),
            GroupEvent::PollOverdue { waited } => console.note(&format!(
                "warning: group {group}: the output was not taken for {} s, so the member left; it joins again now",
                waited.as_secs()
            )),
            other => console.note(&format!("group {group}: {other:?}")),
        }
        Ok(())
    }

    /// There are more members than partitions: no share is to be expected.
    async fn has_nothing_to_read(&self) -> bool {
        if !self.consumer.assignment().is_empty() {
            return false;
        }
        let Ok(described) = self.client.admin().describe_group(self.group).await else {
            return false;
        };
        let own = self.consumer.member_id();
        let mut members = described.members.iter();
        let own = members.find(|member| Some(&member.member) == own.as_ref());
        described.state == GroupState::Stable && own.is_some_and(|own| own.target.is_empty())
    }

    fn failure(&self, error: ConsumeError) -> Failure {
        if let ConsumeError::OffsetOutOfRange { topic, .. } = &error {
            let group = self.group;
            return Failure::failed(format!(
                "{error}\n  hint: `thalweg group reset {group} --topic {topic} --to-earliest` shows where the group \
                 could go on; with --execute it does"
            ));
        }
        error.into()
    }
}

fn named(partitions: &[GroupPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
