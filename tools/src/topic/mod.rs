//! `thalweg topic`: create, list, describe, change and delete topics, and delete old records.
//!
//! Owns the options and the output of these commands; what a topic may be is decided by the broker alone.

mod alter;
mod command;
mod compact;
mod create;
mod delete;
mod describe;
mod list;

pub(crate) use command::TopicCommand;
