//! The numbers of the requests, and which versions of each this release speaks.

use super::Wire;
use super::wire::message;

/// Declares the requests: number, name in logs, lowest and highest version.
macro_rules! apis {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $text:literal, $min:literal..=$max:literal;)*) => {
        /// A kind of request, by its number on the wire.
        ///
        /// Numbers 38 and 39 are kept for groups, 40 to 49 for replication, 50 to 59 for Raft.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Api {
            $($(#[$meta])* $name,)*
        }

        impl Api {
            /// Every kind of request, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The versions that this release speaks.
            pub const fn range(self) -> ApiRange {
                match self {
                    $(Self::$name => ApiRange { api: $number, version_min: $min, version_max: $max },)*
                }
            }

            /// The name in logs and metrics, in snake case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

apis! {
    /// Opens a connection: versions, purpose, names.
    Handshake = 1, "handshake", 0..=0;
    /// One round of authentication.
    Authenticate = 2, "authenticate", 0..=0;
    /// Who leads what.
    Metadata = 3, "metadata", 0..=0;
    /// Brokers, directories, health.
    DescribeCluster = 4, "describe_cluster", 0..=0;
    /// Creates topics.
    CreateTopics = 10, "create_topics", 0..=0;
    /// Deletes topics.
    DeleteTopics = 11, "delete_topics", 0..=0;
    /// Adds partitions, changes settings.
    AlterTopics = 12, "alter_topics", 0..=0;
    /// Settings, offsets and sizes of topics.
    DescribeTopics = 13, "describe_topics", 0..=0;
    /// Compacts logs now, and tells how they stand.
    CompactTopics = 14, "compact_topics", 0..=0;
    /// Appends record batches.
    Produce = 20, "produce", 0..=0;
    /// Reads record batches, waiting for new ones.
    Fetch = 21, "fetch", 0..=0;
    /// Offsets by time.
    ListOffsets = 22, "list_offsets", 0..=0;
    /// Gives out a producer id.
    InitProducer = 23, "init_producer", 0..=0;
    /// Where a leader epoch ended.
    LeaderEpoch = 24, "leader_epoch", 0..=0;
    /// Moves the log start.
    DeleteRecords = 25, "delete_records", 0..=0;
    /// Which broker keeps a group.
    FindCoordinator = 30, "find_coordinator", 0..=0;
    /// Joins, keeps up or leaves a group.
    GroupHeartbeat = 31, "group_heartbeat", 0..=0;
    /// Remembers how far a group has read.
    CommitOffsets = 32, "commit_offsets", 0..=0;
    /// How far a group has read.
    FetchOffsets = 33, "fetch_offsets", 0..=0;
    /// Members, assignment and lag of groups.
    DescribeGroups = 34, "describe_groups", 0..=0;
    /// Which groups there are.
    ListGroups = 35, "list_groups", 0..=0;
    /// Forgets groups.
    DeleteGroups = 36, "delete_groups", 0..=0;
    /// Forgets committed offsets.
    DeleteOffsets = 37, "delete_offsets", 0..=0;
}

message! {
    /// The versions of one kind of request that a broker speaks.
    #[derive(Copy)]
    pub struct ApiRange {
        /// The request's number.
        pub api: u16,
        /// The lowest version.
        pub version_min: u16,
        /// The highest version.
        pub version_max: u16,
    }
}

/// A message that asks, and the message that answers it.
pub trait Request: Wire + Send + 'static {
    /// The request's number.
    const API: Api;
    /// The answer.
    type Response: Wire + Send + 'static;
}
