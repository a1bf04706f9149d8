//! What went wrong, counted by code.

use std::collections::BTreeMap;

use thalweg_client::{ConsumeError, FlushError, SendError};

/// Errors by their code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Errors {
    by_code: BTreeMap<String, u64>,
    /// One of them in words.
    sample: Option<String>,
}

impl Errors {
    /// A record that could not be sent.
    pub(super) fn sending(&mut self, error: &SendError) {
        self.count(send_code(error), 1, error);
    }

    /// Records that were sent and not delivered. All are counted under the code of the first.
    pub(super) fn delivering(&mut self, error: &FlushError) {
        self.count(send_code(&error.first), error.records_failed, &error.first);
    }

    /// What a reader met.
    pub(super) fn reading(&mut self, error: &ConsumeError) {
        let code = error.code().map(|code| code.to_string());
        self.count(code.unwrap_or_else(|| "client".to_owned()), 1, error);
    }

    /// Records that were delivered and that no reader got.
    pub(super) fn not_read(&mut self, records: u64) {
        let text =
            "a record that was acknowledged did not reach its reader within the time allowed";
        self.count("not-read".to_owned(), records, &text);
    }

    /// Takes those of another.
    pub(super) fn add(&mut self, other: Self) {
        for (code, count) in other.by_code {
            *self.by_code.entry(code).or_default() += count;
        }
        self.sample = self.sample.take().or(other.sample);
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.by_code.values().sum()
    }

    /// How many of each code.
    pub(super) const fn by_code(&self) -> &BTreeMap<String, u64> {
        &self.by_code
    }

    /// One of them in words.
    pub(super) fn sample(&self) -> Option<&str> {
        self.sample.as_deref()
    }

    fn count(&mut self, code: String, count: u64, error: &impl ToString) {
        if count == 0 {
            return;
        }
        *self.by_code.entry(code).or_default() += count;
        self.sample.get_or_insert_with(|| error.to_string());
    }
}

/// The broker's code, or that the client gave up by itself.
fn send_code(error: &SendError) -> String {
    let code = error.code().map(|code| code.to_string());
    code.unwrap_or_else(|| match error {
        SendError::MemoryFull { .. } => "memory-full".to_owned(),
        SendError::DeadlinePassed { .. } => "deadline".to_owned(),
        _ => "client".to_owned(),
    })
}
