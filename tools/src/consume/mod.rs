//! `thalweg consume`: records to standard output, everything else to standard error.
//!
//! Owns where reading begins and ends and how a record is printed. What was printed is visible before the next record
//! is waited for; in a group only what was printed is committed.

mod format;
mod member;
mod read;
mod start;

pub(crate) use read::ConsumeArgs;
