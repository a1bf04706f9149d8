//! `thalweg log`: what lies on a disk, read off line and never changed.
//!
//! Owns the reading of every file that a broker writes, of segments and indexes that Kafka wrote, and the checks
//! that no start of a broker has time for. Never opens a file for writing, takes no lock, and believes nothing
//! that a checksum contradicts.

mod checkpoints;
mod command;
mod dump;
mod files;
mod findings;
mod indexes;
mod item;
mod metadata;
mod partition;
mod producers;
mod segment;
mod verify;

pub(crate) use command::LogCommand;
