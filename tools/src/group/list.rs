//! `thalweg group list`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use thalweg_client::GroupState;

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
        let groups = self.connect.client()?.admin().list_groups(&states).await?;
        let shown: Vec<Shown> = groups
            .into_iter()
            .map(|it| Shown {
                group: it.group,
                state: show::state(it.state),
                kind: show::kind(it.kind),
                members: it.members,
            })
            .collect();
        if console.is_json() {
            return console.json(&shown);
        }
        if shown.is_empty() {
            console.note(if states.is_empty() {
                "there are no groups yet; `thalweg consume TOPIC --group NAME` makes one"
            } else {
                "there are no groups in this state"
            });
            return Ok(());
        }
        let mut table = Table::new(&["group", "state", "kind", "#members"]);
        for it in shown {
            let (state, kind) = (it.state.to_owned(), it.kind.to_owned());
            table.row([it.group, state, kind, it.members.to_string()]);
        }
        Ok(console.table(&table)?)
    }
}
