//! The commands, and which file carries each one out.

use clap::Subcommand;

use super::alter::AlterArgs;
use super::compact::CompactArgs;
use super::create::CreateArgs;
use super::delete::{DeleteArgs, DeleteRecordsArgs};
use super::describe::DescribeArgs;
use super::list::ListArgs;
use crate::connect::runtime;
use crate::console::Console;
use crate::failure::Failure;

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic
    Create(CreateArgs),
    /// List all topics
    List(ListArgs),
    /// Show partitions with their offsets and sizes, and settings
    Describe(DescribeArgs),
    /// Add partitions, change settings
    Alter(AlterArgs),
    /// Compact a topic now: of each key the last record stays
    Compact(CompactArgs),
    /// Delete a topic with all its records
    Delete(DeleteArgs),
    /// Delete the records below an offset
    DeleteRecords(DeleteRecordsArgs),
}

impl TopicCommand {
    /// Carries out the command.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        runtime()?.block_on(async {
            match self {
                Self::Create(args) => args.run(console).await,
                Self::List(args) => args.run(console).await,
                Self::Describe(args) => args.run(console).await,
                Self::Alter(args) => args.run(console).await,
                Self::Compact(args) => args.run(console).await,
                Self::Delete(args) => args.run(console).await,
                Self::DeleteRecords(args) => args.run(console).await,
            }
        })
    }
}
