//! `thalweg demo`: real events through a real broker that is killed and restarted, in a few seconds.
//!
//! Owns a child process and a temporary folder, and leaves neither behind. Every claim that it prints was
//! checked; the first that does not hold makes it fail.

mod check;
mod events;
mod narrate;
mod publish;
mod read;
mod show;
mod story;

pub(crate) use story::DemoArgs;
