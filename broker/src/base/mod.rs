//! What every other room stands on: clocks, the CPU time of processes, readiness, supervised tasks, shared work, sizes and
//! times as text.
//!
//! Owns the only place of this package that asks the operating system for the time. Knows nothing of
//! topics, connections or files.

mod clock;
mod process;
mod readiness;
mod share_out;
mod tasks;
mod units;

pub use clock::{Clock, ManualClock, Monotonic, SystemClock};
pub use process::{own_cpu, process_cpu};
pub use readiness::Readiness;
pub use share_out::share_out;
pub use tasks::{TaskFailure, Tasks};
pub use units::{ByteSize, Millis, UnitError};
