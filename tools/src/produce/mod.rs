//! `thalweg produce`: each line becomes a record, published once and in order, whatever fails on the way.
//!
//! Lines are read on a thread of their own and handed to the producer as they come; receipts are looked at in the
//! order of the lines, so that a failure names its line. Never more than the producer's memory is under way.

mod fields;
mod lines;
mod options;
mod progress;
mod run;
mod shape;

pub(crate) use options::{AcksName, CompressionName, ProduceArgs};
