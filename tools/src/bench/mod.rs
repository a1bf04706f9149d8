//! `thalweg bench`: how fast a broker is, beside what this machine can do.
//!
//! Owns workloads, their clocks and histograms, and the controls. A run is a plain value on its way in (`plan`) and on
//! its way out (`report`); what lies between prints nothing. Never keeps a process, a topic or a file that it made.
//!
//! Invariants: warm-up is in no figure; with a rate, latency counts from the moment that was scheduled, so that a pause
//! of the broker is seen by every record that should have been sent within it; a share of the machine is told only when
//! the control that it is a share of was itself as fast as this kind of machine allows.

mod arrivals;
mod chain;
mod collect;
mod command;
mod counters;
mod errors;
mod groups;
mod latency;
mod machine;
mod number;
mod options;
mod outcome;
mod pace;
mod payload;
mod phase;
mod plan;
mod progress;
mod read;
mod report;
mod run;
mod show;
mod source;
mod stamp;
mod target;
mod together;
mod write;

pub(crate) use command::BenchCommand;
