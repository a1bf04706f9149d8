//! The command line of Thalweg: a broker, and everything that a person does with one.
//!
//! Owns arguments, output, exit codes and log output. The broker is a library that [`serve`] runs; all other
//! commands but `log` and `completions` talk to a running one through the client library.
//! Exit codes: 0 success, 1 a failed operation, 2 bad usage.

mod bench;
mod broker;
mod cli;
mod clock;
mod cluster;
mod confirm;
mod connect;
mod console;
mod consume;
mod demo;
mod failure;
mod group;
mod log;
mod logging;
mod produce;
mod serve;
mod table;
mod timestamp;
mod top;
mod topic;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::console::Console;

/// Buffers are often freed on another thread than the one that made them, which this allocator does best.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::new(cli.output);
    let result = cli.run(&mut console);
    let flushed = console.flush().map_err(Into::into);
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
