//! The typed error codes of the native protocol: what went wrong, and whether to try again.

use std::fmt;

/// What a client should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing happened; the same request may succeed later.
    Later,
    /// Nothing happened; refresh the metadata, then send the request where it belongs.
    AfterRefresh,
    /// It may have happened: an idempotent producer sends the same sequence again, others must decide.
    SameSequence,
    /// The same request fails again.
    Never,
}

/// Declares the codes: number, name, retry class, and the sentence that stands for it.
macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $retry:ident, $text:literal;)*) => {
        /// What went wrong with a request or with one partition of it; 0 on the wire means nothing did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $name,)*
            /// A code that this version does not know; treat it as final.
            Unknown(u16),
        }

        impl ErrorCode {
            /// Every known code, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The code with this number.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    unknown => Self::Unknown(unknown),
                }
            }

            /// What a client should do about it.
            pub const fn retry(self) -> Retry {
                match self {
                    $(Self::$name => Retry::$retry,)*
                    Self::Unknown(_) => Retry::Never,
                }
            }

            /// The code in a few words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown(_) => "unknown error",
                }
            }
        }
    };
}

codes! {
    // The request as a whole
    /// A fault of the broker's own; its log says more.
    Internal = 1, Never, "internal error";
    /// The bytes of the request are not what its version says.
    MalformedRequest = 2, Never, "malformed request";
    /// The broker does not know this request, or not in this version.
    UnsupportedVersion = 3, Never, "unsupported request or version";
    /// A value in the request is out of its range.
    InvalidRequest = 4, Never, "invalid request";
    /// The handshake must come first.
    HandshakeRequired = 5, Never, "handshake required";
    /// The broker asks for authentication, or does not know the mechanism.
    AuthenticationFailed = 6, Never, "authentication failed";
    /// The principal may not do this.
    NotAuthorized = 7, Never, "not authorized";
    /// The deadline passed and nothing was done.
    TimedOut = 8, Later, "timed out";
    /// The deadline passed after the append: it may yet become durable.
    OutcomeUnknown = 9, SameSequence, "outcome unknown";
    /// The broker holds as many requests in memory as it may.
    Overloaded = 10, Later, "broker overloaded";
    /// The broker is stopping.
    ShuttingDown = 11, AfterRefresh, "broker shutting down";

    // Topics and partitions
    /// No topic of this name or id.
    UnknownTopic = 20, AfterRefresh, "unknown topic";
    /// The topic has no such partition.
    UnknownPartition = 21, AfterRefresh, "unknown partition";
    /// A topic of this name exists.
    TopicExists = 22, Never, "topic exists";
    /// The name breaks the rule for names.
    InvalidTopicName = 23, Never, "invalid topic name";
    /// A setting is unknown or its value is out of range.
    InvalidConfig = 24, Never, "invalid setting";
    /// The number of partitions is out of range or would shrink.
    InvalidPartitions = 25, Never, "invalid number of partitions";
    /// The replication factor is out of range or above the number of brokers.
    InvalidReplicationFactor = 26, Never, "invalid replication factor";
    /// The cluster holds as many partitions as it may.
    TooManyPartitions = 27, Never, "too many partitions";

    // Leaders and replicas
    /// Another broker leads the partition.
    NotLeader = 40, AfterRefresh, "not the leader";
    /// The request names an older leader epoch than the current one.
    FencedLeaderEpoch = 41, AfterRefresh, "fenced leader epoch";
    /// The request names a newer leader epoch than this broker knows.
    UnknownLeaderEpoch = 42, Later, "unknown leader epoch";
    /// The partition has no leader now.
    LeaderNotAvailable = 43, AfterRefresh, "leader not available";
    /// Too few in-sync replicas; nothing was written.
    NotEnoughReplicas = 44, Later, "not enough in-sync replicas";
    /// Written, then too few in-sync replicas to call it durable.
    NotEnoughReplicasAfterAppend = 45, SameSequence, "not enough in-sync replicas after the append";
    /// Another broker is the controller.
    NotController = 46, AfterRefresh, "not the controller";

    // Reading
    /// The offset lies outside the log; the answer gives the range.
    OffsetOutOfRange = 60, Never, "offset out of range";
    /// The bytes at this offset are damaged; the answer gives the next good offset.
    Corrupt = 61, Never, "corrupt log range";
    /// The log that the reader followed was cut; the answer gives the safe offset.
    LogTruncated = 62, Never, "log truncated";

    // Writing
    /// The batch is not a valid batch: checksum, length, counts or records.
    CorruptBatch = 80, Never, "corrupt batch";
    /// The batch is larger than the topic allows.
    BatchTooLarge = 81, Never, "batch too large";
    /// A timestamp is too far from the broker's clock.
    InvalidTimestamp = 82, Never, "invalid timestamp";
    /// The codec is unknown or not allowed.
    UnsupportedCodec = 83, Never, "unsupported codec";
    /// The batch does not follow the producer's last one.
    OutOfOrderSequence = 84, Never, "out of order sequence";
    /// The batch is stored, and durable, but the broker has forgotten at which offset.
    DuplicateSequence = 85, Never, "duplicate sequence";
    /// A newer life of this producer has written.
    FencedProducerEpoch = 86, Never, "fenced producer epoch";
    /// The broker holds no state for this producer: it expired, made room for others, or its id was never given
    /// out.
    UnknownProducer = 87, Never, "unknown producer";
    /// The partition remembers as many producers as it may, and all of them are active.
    TooManyProducers = 88, Later, "too many producers";
    /// The topic is compacted and the record has no key.
    InvalidRecord = 89, Never, "invalid record";

    // Disks
    /// Too little free space: writing resumes by itself when there is room.
    StorageFull = 100, Later, "storage full";
    /// The log directory failed and is offline.
    StorageOffline = 101, AfterRefresh, "storage offline";

    // Groups
    /// The coordinator has the group, and still reads what is stored about it.
    CoordinatorLoading = 110, Later, "coordinator loading";
    /// Another broker is the group's coordinator: ask for it again.
    NotCoordinator = 111, AfterRefresh, "not the coordinator";
    /// The group has no such member: it was taken for dead, or left. It may join anew.
    UnknownMember = 112, Never, "unknown member";
    /// The member was put out of the group, or has a newer life. It may join anew.
    FencedMemberEpoch = 113, Never, "fenced member epoch";
    /// The member's epoch has moved on: commit again with the one of the next heartbeat's answer.
    StaleMemberEpoch = 114, Never, "stale member epoch";
    /// No group of this name.
    UnknownGroup = 115, Never, "unknown group";
    /// The group has members, and this is done only without.
    GroupNotEmpty = 116, Never, "group not empty";
    /// A group's name has 1 to 255 bytes.
    InvalidGroup = 117, Never, "invalid group";
    /// The group, or its coordinator, has as many members as it may.
    GroupFull = 118, Never, "group full";
    /// The coordinator keeps as many groups as it may.
    TooManyGroups = 119, Never, "too many groups";
    /// The note with an offset is too long.
    OffsetMetadataTooLarge = 120, Never, "offset metadata too large";
    /// The pattern is no regular expression, or too large a one.
    InvalidPattern = 121, Never, "invalid pattern";
    /// Another member with this instance id is there.
    InstanceInUse = 122, Never, "instance in use";
    /// The offset lies beyond the end of the log.
    OffsetBeyondEnd = 123, Never, "offset beyond the end";
    /// The member does not own the partition.
    NotOwned = 124, Never, "partition not owned";
    /// The group is of the other kind.
    GroupKind = 125, Never, "group of another kind";
}

impl ErrorCode {
    /// Whether the same request may succeed when it is sent again.
    pub const fn is_retriable(self) -> bool {
        !matches!(self.retry(), Retry::Never)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_from_their_number() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), *code);
        }
        assert_eq!(ErrorCode::from_number(9999), ErrorCode::Unknown(9999));
    }

    #[test]
    fn zero_is_no_error() {
        assert!(ErrorCode::ALL.iter().all(|code| code.number() != 0));
    }
}
