//! What can go wrong, one enum per family of operations.
//!
//! Each message says what was tried, where, with which numbers, and what to do. All errors are cheap
//! enough to clone: a batch that fails hands its error to every record in it.

mod admin;
mod call;
mod config;
mod consume;
mod send;

pub use admin::AdminError;
pub use call::CallError;
pub use config::ConfigError;
pub use consume::ConsumeError;
pub use send::{FlushError, SendError};
