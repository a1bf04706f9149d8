//! `thalweg group list`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use thalweg_client::{GroupState, MissingShard};

use super::show;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;

/// Groups to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only groups in this state; may be given several times
    #[arg(long = "state", value_enum, value_name = "STATE")]
    states: Vec<StateName>,
    #[command(flatten)]
    connect: Connect,
}

/// States by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateName {
    /// It has no member
    Empty,
    /// Something has changed, and who reads what is about to be decided
    Assigning,
    /// Partitions are on their way from member to member
    Reconciling,
    /// Every member reads what it shall read
    Stable,
}

impl From<StateName> for GroupState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Empty => Self::Empty,
            StateName::Assigning => Self::Assigning,
            StateName::Reconciling => Self::Reconciling,
            StateName::Stable => Self::Stable,
        }
    }
}

/// A group as `list` shows it.
#[derive(Serialize)]
struct Shown {
    group: String,
    state: &'static str,
    kind: &'static str,
    members: u32,
}

impl ListArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let states: Vec<GroupState> = self.states.iter().map(|name| (*name).into()).collect();
        let listing = self.connect.client()?.admin().list_groups(&states).await?;
        let shown = listing.groups.into_iter().map(|it| Shown {
            group: it.group,
            state: show::state(it.state),
            kind: show::kind(it.kind),
            members: it.members,
        });
        let shown: Vec<Shown> = shown.collect();
        if console.is_json() {
            console.json(&shown)?;
        } else if !shown.is_empty() {
            console.table(&table(shown))?;
        } else if listing.missing.is_empty() {
            console.note(if states.is_empty() {
                "there are no groups yet; `thalweg consume TOPIC --group NAME` makes one"
            } else {
                "there are no groups in this state"
            });
        }
        all_are_there(&listing.missing)
    }
}

fn table(shown: Vec<Shown>) -> Table {
    let mut table = Table::new(&["group", "state", "kind", "#members"]);
    for it in shown {
        let (state, kind) = (it.state.to_owned(), it.kind.to_owned());
        table.row([it.group, state, kind, it.members.to_string()]);
    }
    table
}

/// What could be listed is on the screen; a script must hear that it is not all.
fn all_are_there(missing: &[MissingShard]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let why: Vec<&str> = missing.iter().map(|it| it.error.message.as_str()).collect();
    Err(Failure::failed(format!("groups are missing from the list: {}", why.join("; "))))
}

#[cfg(test)]
mod tests {
    use thalweg_client::{ErrorCode, PartitionIndex};
    use thalweg_protocol::native::ApiError;

    use super::*;

    #[test]
    fn a_list_that_is_not_whole_is_a_failure_with_its_reasons() {
        all_are_there(&[]).unwrap();
        let shard = |number, why: &str| MissingShard {
            shard: PartitionIndex::new(number),
            error: ApiError::new(ErrorCode::Internal, why),
        };
        let missing = [shard(3, "shard 3: given up"), shard(7, "shard 7: loading")];
        match all_are_there(&missing) {
            Err(Failure::Failed(text)) => assert_eq!(
                text,
                "groups are missing from the list: shard 3: given up; shard 7: loading"
            ),
            other => panic!("{other:?}"),
        }
    }
}
