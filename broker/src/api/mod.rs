//! What the broker can be asked, whichever door the question came through: one file per request, with its
//! types, limits and handler.
//!
//! Owns the meaning of requests. Never sees a socket, a frame or a wire version: the doors in `frontend`
//! translate to and from the types here.

pub(crate) mod compact_topics;
pub(crate) mod delete_records;
pub(crate) mod describe_cluster;
pub(crate) mod describe_topics;
mod dispatch;
mod error;
pub(crate) mod fetch;
pub(crate) mod groups;
mod in_pool;
pub(crate) mod init_producer;
mod internal;
pub(crate) mod leader_epoch;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod produce;
mod read_pool;
pub(crate) mod topics;

pub(crate) use dispatch::{Begun, Context, Request, Response, Services, begin};
pub(crate) use error::{Failure, Hint};
use internal::refuse_internal;
pub(crate) use read_pool::ReadPool;
