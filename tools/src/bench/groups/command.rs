//! The options of `thalweg bench groups`, and what it prints.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::command::until_interrupted;
use super::super::machine::Machine;
use super::super::plan::Durability;
use super::super::progress::Progress;
use super::super::run::folder;
use super::super::show::machine_line;
use super::figure::Figure;
use super::{commits, heartbeats, joining, loading, stall};
use crate::connect::runtime;
use crate::console::{Console, Paint};
use crate::failure::Failure;
use crate::table::Table;

/// What to ask, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct GroupsArgs {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', value_name = "QUESTION,…",
        default_values_t = [Question::Commits, Question::Heartbeats, Question::Join, Question::Stall, Question::Load])]
    only: Vec<Question>,

    /// Groups that commit, and that send heartbeats
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) groups: u16,

    /// Members that send heartbeats, all groups together, and the most that join one group
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub(super) members: u16,

    /// Partitions of the topic whose readers must not stall
    #[arg(short, long, value_name = "COUNT", default_value = "24", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(super) partitions: i32,

    /// Committed offsets that are loaded after a restart
    #[arg(long, value_name = "COUNT", default_value = "1000000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) offsets: u32,

    /// How long commits, heartbeats (2 s at least) and readers are looked at
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = crate::values::duration)]
    pub(super) duration: Duration,

    /// Where the temporary folders are made (default: on this folder's disk)
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    /// Commits a second
    Commits,
    /// What a heartbeat costs
    Heartbeats,
    /// From nothing to a stable group
    Join,
    /// How long a partition stands still that its reader keeps
    Stall,
    /// How long committed offsets take to load
    Load,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    workload: &'static str,
    figures: Vec<Figure>,
    machine: Machine,
}

impl GroupsArgs {
    /// Measures, and prints a table or JSON.
    pub(in super::super) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let progress = Progress::new(console.errors_are_terminal());
        let runtime = runtime()?;
        let result = runtime.block_on(until_interrupted(self.measure(&progress)));
        progress.finish();
        runtime.shutdown_background();
        let report = result?;
        if console.is_json() { console.json(&report) } else { Ok(show(console, &report)?) }
    }

    async fn measure(&self, progress: &Progress) -> Result<Report, Failure> {
        let mut figures = Vec::new();
        let mut machine = None;
        for question in &self.only {
            let folder = folder(self.data_dir.as_deref())?;
            let path = folder.path();
            machine.get_or_insert_with(|| Machine::describe(path, Some(Durability::Synced)));
            figures.extend(match question {
                Question::Commits => {
                    progress.phase("committing");
                    commits::measure(self, path).await?
                }
                Question::Heartbeats => {
                    progress.phase("sending heartbeats");
                    heartbeats::measure(self, path).await?
                }
                Question::Join => {
                    progress.phase("joining");
                    joining::measure(self, path).await?
                }
                Question::Stall => {
                    progress.phase("joining and leaving beside readers");
                    stall::measure(self, path).await?
                }
                Question::Load => {
                    progress.phase("loading");
                    loading::measure(self, path).await?
                }
            });
            folder.close().map_err(|error| {
                Failure::failed(format!("cannot remove a temporary folder: {error}"))
            })?;
        }
        let machine = machine.ok_or_else(|| Failure::usage("--only: nothing to measure"))?;
        Ok(Report { workload: "groups", figures, machine })
    }
}

fn show(console: &mut Console, report: &Report) -> io::Result<()> {
    let mut table = Table::new(&["measured", "#value", "unit", "#aim"]);
    for figure in &report.figures {
        let aim = figure.aim.map(|aim| format!("{aim}"));
        table.row([
            figure.what.clone(),
            figure.shown(),
            figure.unit.to_owned(),
            aim.unwrap_or_default(),
        ]);
    }
    console.table(&table)?;
    let line = console.paint(Paint::Dim, &machine_line(&report.machine));
    console.line(&line)
}
