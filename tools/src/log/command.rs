//! The commands `dump` and `verify` and their options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::dump::Dump;
use super::verify::verify;
use crate::console::Console;
use crate::failure::Failure;

/// What to do with files of a log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what files hold: batches, index entries, checkpoints, producers
    Dump(DumpArgs),
    /// Check everything: checksums, continuity, records, indexes; exit code 1 if something is damaged
    Verify(VerifyArgs),
}

/// What to print.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// A file, a partition's folder, or a log directory; Thalweg's or Kafka's
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Also every record of every batch
    #[arg(short, long)]
    records: bool,
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A file, a partition's folder, or a log directory; Thalweg's or Kafka's
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl LogCommand {
    /// Carries out the command.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::Dump(args) => {
                let mut dump = Dump::new(console, args.records);
                args.paths.iter().try_for_each(|path| dump.path(path))
            }
            Self::Verify(args) => verify(&args.paths, console),
        }
    }
}
