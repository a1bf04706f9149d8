//! `thalweg bench groups`: what groups cost through a real broker, one question after the other.
//!
//! Owns the questions and their figures. Members are consumers of the client library, each with connections of its own, as
//! services have them. Each question gets a broker of its own, in a process and a folder of its own, so that none pays for
//! what another has left; a figure that needs a control has it beside it, from the same broker.

mod command;
mod commits;
mod figure;
mod heartbeats;
mod joining;
mod loading;
mod member;
mod place;
mod stall;

pub(super) use command::GroupsArgs;
