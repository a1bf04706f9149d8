//! Names and numbers of brokers, topics, partitions and producers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// Declares a newtype over an integer: constructor, accessor, `Display`.
///
/// ```
/// thalweg_protocol::number! {
///     /// The place of a shelf, counted from 0.
///     Shelf(u32)
/// }
/// assert_eq!(Shelf::new(7).get(), 7);
/// assert_eq!(Shelf::new(7).to_string(), "7");
/// ```
#[macro_export]
macro_rules! number {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number as it stands on the wire or on disk.
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number as it stands on the wire or on disk.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

/// Declares a newtype over a UUID: random, from bytes, hyphenated `Display` and `FromStr`.
macro_rules! unique {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id of nothing: all bits zero.
            pub const NONE: Self = Self(Uuid::nil());

            /// A new random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// From the 16 bytes that stand on the wire.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes that stand on the wire.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

number! {
    /// A broker's number in its cluster, given by its operator; never negative.
    BrokerId(i32)
}

impl BrokerId {
    /// "No broker": a partition without a leader, for example.
    pub const NONE: Self = Self(-1);
}

number! {
    /// Raised at every start of a broker; tells its life apart from the one before.
    BrokerEpoch(i64)
}

number! {
    /// A partition's number within its topic, counted from 0.
    PartitionIndex(i32)
}

number! {
    /// Names one idempotent producer; never given out twice in a cluster.
    ProducerId(i64)
}

impl ProducerId {
    /// The batch comes from a producer that is not idempotent.
    pub const NONE: Self = Self(-1);
}

number! {
    /// Tells apart the lives of a producer that keeps its id.
    ProducerEpoch(i16)
}

impl ProducerEpoch {
    /// The batch comes from a producer that is not idempotent.
    pub const NONE: Self = Self(-1);
}

number! {
    /// Counts the changes of a group: of its members, their subscriptions, and the topics they read.
    GroupEpoch(i32)
}

number! {
    /// Tells which of its group's changes a member has carried out; what an old one asks is refused.
    MemberEpoch(i32)
}

impl MemberEpoch {
    /// A member joins, or joins again.
    pub const JOIN: Self = Self(0);
    /// A member leaves for good.
    pub const LEAVE: Self = Self(-1);
    /// A static member leaves and will be back: its partitions are kept for its session timeout.
    pub const LEAVE_FOR_A_WHILE: Self = Self(-2);
    /// Whoever asks is no member.
    pub const NONE: Self = Self(-1);
}

unique! {
    /// Names a topic for good: a topic deleted and created again is another topic.
    TopicId
}

unique! {
    /// Names a log directory, so that an unmounted disk is noticed.
    DirectoryId
}

unique! {
    /// Names a cluster, so that a stranger's data folder is noticed.
    ClusterId
}

unique! {
    /// Names one life of a group's member; on the wire as text.
    MemberId
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Partition `partition` of topic `topic`.
    pub const fn new(topic: TopicId, partition: PartitionIndex) -> Self {
        Self { topic, partition }
    }
}

/// `<topic id>-<partition>`: also the name of the partition's folder.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A topic's name: 1 to 249 of the characters `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
///
/// The rule is Kafka's, so that names mean the same through both doors. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a text is no topic name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// The text is empty.
    #[error("a topic name cannot be empty")]
    Empty,
    /// The text is too long.
    #[error("a topic name has at most 249 characters, this one has {0}")]
    TooLong(usize),
    /// The text is `.` or `..`.
    #[error("a topic cannot be named {0:?}")]
    Dots(String),
    /// The text holds a character that is not allowed.
    #[error("topic name {name:?} has the character {found:?}; allowed are a-z A-Z 0-9 . _ -")]
    Character {
        /// The text.
        name: String,
        /// Its first character that is not allowed.
        found: char,
    },
}

impl TopicName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 249;

    /// Checks `text` against the rule.
    pub fn new(text: &str) -> Result<Self, TopicNameError> {
        if text.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if text.len() > Self::CHARS_MAX {
            return Err(TopicNameError::TooLong(text.chars().count()));
        }
        if text == "." || text == ".." {
            return Err(TopicNameError::Dots(text.to_owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !allowed(*c)) {
            Some(found) => Err(TopicNameError::Character { name: text.to_owned(), found }),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TopicName {
    type Err = TopicNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_the_rule() {
        for good in ["a", "events", "a.b_c-9", &"x".repeat(249)] {
            assert_eq!(TopicName::new(good).unwrap().as_str(), good);
        }
        assert_eq!(TopicName::new(""), Err(TopicNameError::Empty));
        assert_eq!(TopicName::new(&"x".repeat(250)), Err(TopicNameError::TooLong(250)));
        assert_eq!(TopicName::new(".."), Err(TopicNameError::Dots("..".to_owned())));
        assert_eq!(
            TopicName::new("a/b"),
            Err(TopicNameError::Character { name: "a/b".to_owned(), found: '/' })
        );
    }

    #[test]
    fn ids_read_back_from_their_text() {
        let id = TopicId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, TopicId::random());
    }
}
