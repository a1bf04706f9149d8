//! `thalweg group`: which groups there are, how far behind they are and who reads what; putting their offsets
//! elsewhere, writing them to a file and reading them back, forgetting them.
//!
//! Owns the options and the output of these commands, and the file of offsets. Changes nothing of a group that it was
//! not told to: a reset without `--execute` only shows what it would do.

mod command;
mod delete;
mod describe;
mod file;
mod list;
mod reset;
mod scope;
mod show;

pub(crate) use command::GroupCommand;
