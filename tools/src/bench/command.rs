//! The sub-commands of `thalweg bench`.

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use super::groups::GroupsArgs;
use super::machine::MachineArgs;
use super::options::WorkloadArgs;
use super::plan::Workload;
use super::progress::Progress;
use super::run::run;
use super::show::show;
use crate::connect::runtime;
use crate::console::Console;
use crate::failure::Failure;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// What this machine can do: memory, disk, loopback, and a bare produce loop
    Machine(MachineArgs),
    /// Writers: how many records a second, how long until each is acknowledged
    Produce(WorkloadArgs),
    /// Readers, of what was written before
    Consume(WorkloadArgs),
    /// From the moment that a record is sent until a reader has it
    EndToEnd(WorkloadArgs),
    /// Writers and readers together
    Mixed(WorkloadArgs),
    /// Consumer groups: commits, heartbeats, joining, stalls, loading
    Groups(GroupsArgs),
}

impl BenchCommand {
    /// Measures, and prints the report.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        if cfg!(debug_assertions) {
            console.note("warning: this is a debug build, whose figures mean nothing: `make release` builds the real one");
        }
        let (workload, args) = match self {
            Self::Machine(args) => return args.run(console),
            Self::Groups(args) => return args.run(console),
            Self::Produce(args) => (Workload::Produce, args),
            Self::Consume(args) => (Workload::Consume, args),
            Self::EndToEnd(args) => (Workload::EndToEnd, args),
            Self::Mixed(args) => (Workload::Mixed, args),
        };
        let plan = args.plan(workload)?;
        let progress = Progress::new(console.errors_are_terminal());
        let runtime = runtime()?;
        let result = runtime.block_on(until_interrupted(run(&args, plan, &progress)));
        progress.finish();
        // The control's threads end by themselves.
        runtime.shutdown_background();
        let report = result?;
        if console.is_json() {
            console.json(&report)?;
        } else {
            show(console, &report)?;
        }
        if report.is_intact == Some(false) {
            return Err(Failure::failed("records are missing, doubled, reordered or changed"));
        }
        Ok(())
    }
}

/// So that an interrupted run leaves no broker and no folder behind.
pub(super) async fn until_interrupted<T>(
    running: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("cannot watch for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        result = running => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted")),
        _ = terminate.recv() => Err(Failure::failed("interrupted")),
    }
}
