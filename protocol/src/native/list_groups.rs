//! Which groups there are.

use super::wire::message;
use super::{Api, ApiError, Request, Wire};
use crate::PartitionIndex;
use crate::codec::{DecodeError, Reader, Writer};

/// How the members of a group agree on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// The broker assigns, and members reconcile by heartbeat; also groups that only commit offsets.
    Consumer,
    /// Members assign among themselves, by joining and syncing.
    Classic,
}

impl Wire for GroupKind {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Consumer => 0,
            Self::Classic => 1,
        });
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match reader.u8(what)? {
            0 => Ok(Self::Consumer),
            1 => Ok(Self::Classic),
            found => Err(DecodeError::Value { what, found: i64::from(found) }),
        }
    }
}

/// What a group is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// It has no member.
    Empty,
    /// Something has changed, and its target is about to be made.
    Assigning,
    /// Partitions are on their way from owner to owner.
    Reconciling,
    /// Every member owns what it shall own.
    Stable,
}

impl GroupState {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Empty, Self::Assigning, Self::Reconciling, Self::Stable];

    /// The state in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Assigning => "assigning",
            Self::Reconciling => "reconciling",
            Self::Stable => "stable",
        }
    }
}

impl Wire for GroupState {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Empty => 0,
            Self::Assigning => 1,
            Self::Reconciling => 2,
            Self::Stable => 3,
        });
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let found = reader.u8(what)?;
        let state = Self::ALL.get(usize::from(found)).copied();
        state.ok_or(DecodeError::Value { what, found: i64::from(found) })
    }
}

message! {
    /// Asks for the groups whose coordinator the answering broker is.
    pub struct ListGroupsRequest {
        /// Only groups in one of these states; empty asks for all of them.
        pub states: Vec<GroupState>,
    }

    /// The groups, by name.
    pub struct ListGroupsResponse {
        /// The groups.
        pub groups: Vec<ListedGroup>,
        /// Where groups may be that are not in the list.
        pub missing: Vec<MissingShard>,
    }

    /// One group.
    pub struct ListedGroup {
        /// The group.
        pub group: String,
        /// How its members agree on who reads what: 0 consumer, 1 classic.
        pub kind: GroupKind,
        /// What it is at; the numbers are those of `DescribeGroups`.
        pub state: GroupState,
        /// How many members it has.
        pub members: u32,
    }

    /// A shard whose groups cannot be listed.
    pub struct MissingShard {
        /// The partition of `__consumer_offsets` that holds them.
        pub shard: PartitionIndex,
        /// Why they cannot.
        pub error: ApiError,
    }
}

impl Request for ListGroupsRequest {
    const API: Api = Api::ListGroups;
    type Response = ListGroupsResponse;
}
