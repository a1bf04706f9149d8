//! One plain snapshot, for scripts and where there is no terminal.

use super::model::{Key, Model};
use super::pages::Page;
use super::sample::{Heard, Sample};
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;

/// Prints the figures of two rounds.
pub(super) fn print(samples: [Sample; 2], console: &mut Console) -> Result<(), Failure> {
    let mut model = Model::new();
    for sample in samples {
        model.hear(Heard::Sample(Box::new(sample)));
    }
    for said in &model.groups_unknown {
        console.note(said);
    }
    if console.is_json() {
        return console.json(&model.figures);
    }
    for page in ['4', '1', '2', '3'] {
        model.press(Key::Char(page));
        console.table(&table(model.page()))?;
        if page != '3' {
            console.line("")?;
        }
    }
    Ok(())
}

fn table(page: Page) -> Table {
    let heads: Vec<(&'static str, bool)> =
        page.columns.iter().map(|it| (it.head, it.is_number())).collect();
    let mut table = Table::aligned_as(&heads);
    for (_, cells) in page.rows {
        table.row(cells.into_iter().map(|cell| cell.text));
    }
    table
}
