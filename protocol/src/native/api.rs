//! The numbers of the requests, and which versions of each this release speaks.

use super::Wire;
use super::wire::message;

/// Declares the requests: number, name, lowest and highest version.
macro_rules! apis {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $min:literal..=$max:literal;)*) => {
        /// A kind of request, by its number on the wire.
        ///
        /// Numbers 30 to 39 are kept for groups, 40 to 49 for replication, 50 to 59 for Raft.
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
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

apis! {
    /// Opens a connection: versions, purpose, names.
    Handshake = 1, 0..=0;
    /// One round of authentication.
    Authenticate = 2, 0..=0;
    /// Who leads what.
    Metadata = 3, 0..=0;
    /// Brokers, directories, health.
    DescribeCluster = 4, 0..=0;
    /// Creates topics.
    CreateTopics = 10, 0..=0;
    /// Deletes topics.
    DeleteTopics = 11, 0..=0;
    /// Adds partitions, changes settings.
    AlterTopics = 12, 0..=0;
    /// Settings, offsets and sizes of topics.
    DescribeTopics = 13, 0..=0;
    /// Appends record batches.
    Produce = 20, 0..=0;
    /// Reads record batches, waiting for new ones.
    Fetch = 21, 0..=0;
    /// Offsets by time.
    ListOffsets = 22, 0..=0;
    /// Gives out a producer id.
    InitProducer = 23, 0..=0;
    /// Where a leader epoch ended.
    LeaderEpoch = 24, 0..=0;
    /// Moves the log start.
    DeleteRecords = 25, 0..=0;
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
