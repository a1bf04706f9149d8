//! The commands, and which file carries each one out.

use clap::Subcommand;

use super::delete::{DeleteArgs, DeleteOffsetsArgs};
use super::describe::DescribeArgs;
use super::list::ListArgs;
use super::reset::ResetArgs;
use crate::connect::runtime;
use crate::console::Console;
use crate::failure::Failure;

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List all groups
    List(ListArgs),
    /// Show members, who reads what, and how far behind the group is, in records and in seconds
    Describe(DescribeArgs),
    /// Put a group's offsets elsewhere; without --execute it only shows what would change
    Reset(Box<ResetArgs>),
    /// Forget a group with all its offsets
    Delete(DeleteArgs),
    /// Forget what a group has committed for some partitions
    DeleteOffsets(DeleteOffsetsArgs),
}

impl GroupCommand {
    /// Carries out the command.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        runtime()?.block_on(async {
            match self {
                Self::List(args) => args.run(console).await,
                Self::Describe(args) => args.run(console).await,
                Self::Reset(args) => args.run(console).await,
                Self::Delete(args) => args.run(console).await,
                Self::DeleteOffsets(args) => args.run(console).await,
            }
        })
    }
}
