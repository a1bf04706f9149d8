//! What cannot be undone is confirmed: a person types the name, a script says `--yes`.

use std::io::{self, BufRead};

use crate::console::Console;
use crate::failure::Failure;

/// Asks a person to type the name of the thing; fails when nobody can be asked, or when the answer is another.
pub(crate) fn confirm(
    console: &Console,
    what: &str,
    thing: &str,
    name: &str,
) -> Result<(), Failure> {
    let can_ask = console.errors_are_terminal() && io::IsTerminal::is_terminal(&io::stdin());
    if !can_ask {
        return Err(Failure::usage(format!(
            "deleting {what} needs --yes, as nobody can be asked here"
        )));
    }
    console.note(&format!("This deletes {what}, for good. Type the {thing}'s name to go on:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == name {
        return Ok(());
    }
    Err(Failure::failed(format!("nothing was deleted: that was not the {thing}'s name")))
}
