//! Where results go: standard output as a table or as JSON; notes go to standard error.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The bytes gathered before they are written to standard output.
const BUFFER_BYTES: usize = 64 * 1024;

/// Standard output and standard error as the commands see them.
pub(crate) struct Console {
    out: BufWriter<Box<dyn Write>>,
    format: OutputFormat,
    /// Whether a person sees the output, so that colour helps.
    colour: bool,
    errors_are_terminal: bool,
}

/// How a piece of text stands out on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Green,
    Red,
}

impl Console {
    /// The process's own streams.
    pub(crate) fn new(format: OutputFormat) -> Self {
        let out = io::stdout();
        Self {
            colour: out.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            errors_are_terminal: io::stderr().is_terminal(),
            out: BufWriter::with_capacity(BUFFER_BYTES, Box::new(out)),
            format,
        }
    }

    /// Whether results are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether standard error is a terminal: progress bars and questions make sense.
    pub(crate) const fn errors_are_terminal(&self) -> bool {
        self.errors_are_terminal
    }

    /// The text, painted if that makes sense.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.colour => return text.to_owned(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Green => "32",
            Paint::Red => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Standard output, for records.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Writes a line to standard output.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes a table to standard output.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        self.table_indented(table, 0)
    }

    /// Writes a table with so many blanks before each line.
    pub(crate) fn table_indented(&mut self, table: &Table, blanks: usize) -> io::Result<()> {
        table.write(&mut self.out, &" ".repeat(blanks), self.colour)
    }

    /// Writes one JSON document, on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    /// Writes a line to standard error.
    #[expect(clippy::unused_self, reason = "both streams are reached through the console")]
    pub(crate) fn note(&self, text: &str) {
        // Nobody is there to be told that standard error is gone.
        drop(writeln!(io::stderr(), "{text}"));
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
