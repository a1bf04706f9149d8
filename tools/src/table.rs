//! Rows in aligned columns.

use std::io::{self, Write};

/// A table with a headline. Columns are as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    /// Which columns hold numbers, and stand to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a name that begins with `#` is one of numbers.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.iter().map(|head| head.trim_start_matches('#')).collect(),
            numbers: heads.iter().map(|head| head.starts_with('#')).collect(),
            rows: Vec::new(),
        }
    }

    /// A table with these columns; whether each is one of numbers.
    pub(crate) fn aligned_as(heads: &[(&'static str, bool)]) -> Self {
        let (heads, numbers) = heads.iter().copied().unzip();
        Self { heads, numbers, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes headline and rows with `indent` before each; the headline bold when `colour` is set.
    pub(crate) fn write(&self, out: &mut dyn Write, indent: &str, colour: bool) -> io::Result<()> {
        let widths: Vec<usize> = (0..self.heads.len()).map(|column| self.width(column)).collect();
        let heads = self.heads.iter().map(|head| head.to_uppercase());
        let headline = self.aligned(heads, &widths);
        if colour {
            writeln!(out, "{indent}\x1b[1m{headline}\x1b[0m")?;
        } else {
            writeln!(out, "{indent}{headline}")?;
        }
        for row in &self.rows {
            writeln!(out, "{indent}{}", self.aligned(row.iter().cloned(), &widths))?;
        }
        Ok(())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.heads.get(column).map_or(0, |head| head.chars().count()))
    }

    fn aligned(&self, cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), number) in cells.zip(widths).zip(&self.numbers) {
            let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
            let (before, behind) =
                if *number { (blank, String::new()) } else { (String::new(), blank) };
            line.extend([before.as_str(), &cell, &behind, "   "]);
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_to_the_left_and_numbers_to_the_right() {
        let mut table = Table::new(&["topic", "#records"]);
        table.row(["events".to_owned(), "7".to_owned()]);
        table.row(["é".to_owned(), "1234567890".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out, "", false).unwrap();
        let expected = "TOPIC       RECORDS\nevents            7\né        1234567890\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
