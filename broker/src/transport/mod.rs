//! Sockets: where they are bound, and how answers leave them.
//!
//! Knows bytes and addresses only: no request, no partition.

mod outbox;
mod tcp;

pub(crate) use outbox::Outbox;
pub(crate) use tcp::{bind, prepare};
