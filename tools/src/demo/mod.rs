//! `thalweg demo`: real events through a real broker that is killed and restarted, in a few seconds.
//!
//! Owns child processes, the broker and three members of a group, and a temporary folder; leaves none behind. Every claim that it prints was
//! checked; the first that does not hold makes it fail.

mod check;
mod events;
mod group;
mod narrate;
mod publish;
mod read;
mod show;
mod story;

pub(crate) use story::DemoArgs;
