//! What a consumer's options say about its group.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::TopicName;

use super::event::GroupEvent;
use crate::config::{duration, in_range};
use crate::consumer::options::{ConsumerBuilder, StartAt};
use crate::error::ConfigError;

/// Called with each event.
type Listener = Arc<dyn Fn(&GroupEvent) + Send + Sync>;

/// What a group's members share, and what this one does of its own.
#[derive(Clone)]
pub(crate) struct GroupOptions {
    pub(crate) group: Option<String>,
    /// None without a membership.
    pub(crate) subscription: Option<Subscription>,
    pub(crate) start: StartAt,
    pub(crate) instance: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    /// None leaves it to the application.
    pub(crate) auto_commit: Option<Duration>,
    pub(crate) max_poll_interval: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) listener: Option<Listener>,
}

/// The topics that a member wants to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) names: Vec<TopicName>,
    pub(crate) pattern: Option<String>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            group: None,
            subscription: None,
            start: StartAt::Earliest,
            instance: None,
            assignor: None,
            session_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            auto_commit: Some(Duration::from_secs(5)),
            max_poll_interval: Duration::from_mins(5),
            close_timeout: Duration::from_secs(5),
            listener: None,
        }
    }
}

impl fmt::Debug for GroupOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupOptions")
            .field("group", &self.group)
            .field("subscription", &self.subscription)
            .field("start", &self.start)
            .field("instance", &self.instance)
            .field("session_timeout", &self.session_timeout)
            .field("auto_commit", &self.auto_commit)
            .finish_non_exhaustive()
    }
}

impl GroupOptions {
    pub(crate) fn check(&self, assigns: bool) -> Result<(), ConfigError> {
        match (&self.group, &self.subscription) {
            (None, Some(_)) => return Err(ConfigError::NoGroup),
            (Some(_), Some(_)) if assigns => return Err(ConfigError::SubscribedAndAssigned),
            (Some(group), _) => {
                in_range("group (bytes of its name)", wide(group.len()), 1, 255)?;
            }
            (None, None) => {}
        }
        if let Some(wanted) = &self.subscription
            && wanted.names.is_empty()
            && wanted.pattern.is_none()
        {
            return Err(ConfigError::NothingAssigned);
        }
        duration("session_timeout", self.session_timeout, 1)?;
        duration("drain_timeout", self.drain_timeout, 0)?;
        duration("close_timeout", self.close_timeout, 1)?;
        match self.auto_commit {
            Some(interval) => duration("auto_commit", interval, 1),
            None => Ok(()),
        }
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Reading in a group.
impl ConsumerBuilder {
    /// The group under whose name offsets are kept. With [`Self::subscribe`] the consumer is a member and the broker
    /// assigns its partitions. With [`Self::topic`] or [`Self::assign`] it reads just those, begins where the group
    /// has committed (the start named with them counts only where it has not), and commits without being a member.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.options.group.group = Some(name.into());
        self
    }

    /// Shares these topics with the other members of the group. They need not exist yet; several calls add up.
    pub fn subscribe<T: AsRef<str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        for topic in topics {
            match TopicName::new(topic.as_ref()) {
                Ok(topic) => {
                    let wanted = self.options.group.subscription.get_or_insert_default();
                    if !wanted.names.contains(&topic) {
                        wanted.names.push(topic);
                    }
                }
                Err(error) => self.mistaken(error.into()),
            }
        }
        self.options.group.subscription.get_or_insert_default();
        self
    }

    /// Shares all topics whose whole name matches this regular expression, also those that come later.
    pub fn subscribe_pattern(mut self, pattern: impl Into<String>) -> Self {
        let wanted = self.options.group.subscription.get_or_insert_default();
        wanted.pattern = Some(pattern.into());
        self
    }

    /// Where to begin in a subscribed partition for which the group has committed nothing; default is
    /// [`StartAt::Earliest`], so that nothing is missed. With [`StartAt::Committed`] it is an error.
    ///
    /// With [`StartAt::Latest`] a partition that is added after this consumer was built, or whose topic is, is read from
    /// its beginning all the same: whatever is in it came after. And the place is committed as soon as it is found (but
    /// for [`Self::manual_commit`]), so that whoever has the partition next does not begin at a later end.
    pub const fn start_at(mut self, start: StartAt) -> Self {
        self.options.group.start = start;
        self
    }

    /// A name of its own that the member keeps over restarts. When it is closed and comes back within its session
    /// timeout, it has its partitions back, and nobody else is disturbed. Two members must not have the same.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.options.group.instance = Some(name.into());
        self
    }

    /// Who shares out the partitions: `sticky` (the default: evenly, moving as few as possible) or `range`.
    pub fn assignor(mut self, name: impl Into<String>) -> Self {
        self.options.group.assignor = Some(name.into());
        self
    }

    /// A member that is silent for so long is taken for dead; default 10 s. Heartbeats are sent by a task of their
    /// own, so long work on a record does not make a member silent.
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.options.group.session_timeout = timeout;
        self
    }

    /// How long the application may take to finish what it has in hand of partitions that go to another member; default
    /// 30 s. After that they go all the same, and what was not committed is read again.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.options.group.drain_timeout = timeout;
        self
    }

    /// How often to commit what was handed out **and followed by the next call**; default every 5 s. It is committed
    /// besides when partitions are let go and when the consumer is closed or dropped. So each record is processed at
    /// least once.
    pub const fn auto_commit(mut self, interval: Duration) -> Self {
        self.options.group.auto_commit = Some(interval);
        self
    }

    /// Commits nothing by itself: the application calls [`Consumer::commit`](crate::Consumer::commit) and its
    /// relatives, or keeps its offsets elsewhere.
    pub const fn manual_commit(mut self) -> Self {
        self.options.group.auto_commit = None;
        self
    }

    /// An application that has not asked for a record for so long is taken for stuck: its member leaves the group until
    /// it asks again, and [`GroupEvent::PollOverdue`] says so; default 5 min.
    pub const fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.options.group.max_poll_interval = interval;
        self
    }

    /// How long closing may take; default 5 s. The last commit is waited for during three quarters of it, and only then,
    /// answered or not, the member leaves.
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.group.close_timeout = timeout;
        self
    }

    /// Calls `listener` with each event when it happens, from the group's own task: it must not block.
    /// [`Consumer::next_event`](crate::Consumer::next_event) hands them out in order with the records.
    pub fn on_group_event(
        mut self,
        listener: impl Fn(&GroupEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.group.listener = Some(Arc::new(listener));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_needs_a_group_and_no_assignment() {
        let mut options =
            GroupOptions { subscription: Some(Subscription::default()), ..Default::default() };
        assert_eq!(options.check(false), Err(ConfigError::NoGroup));
        options.group = Some("g".to_owned());
        assert_eq!(options.check(false), Err(ConfigError::NothingAssigned));
        options.subscription =
            Some(Subscription { pattern: Some("a.*".to_owned()), names: Vec::new() });
        assert_eq!(options.check(false), Ok(()));
        assert_eq!(options.check(true), Err(ConfigError::SubscribedAndAssigned));
        options.group = Some(String::new());
        assert!(matches!(options.check(false), Err(ConfigError::OutOfRange { .. })));
    }
}
