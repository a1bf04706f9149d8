//! The configuration file as a flat list of settings, each with its line.

use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::setting::{Raw, Written};

/// Reads `path` and lists what it sets, in the order of its lines.
pub(super) fn read(path: &Path) -> Result<Vec<Written>, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    parse(path, &text)
}

/// Lists what `text` sets, in the order of its lines; `path` is only named in messages.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Written>, ConfigError> {
    let lines = Lines { text };
    let at = |line| Origin::File { path: path.to_owned(), line };
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        origin: at(error.span().map_or(1, |span| lines.number(span.start))),
        message: error.message().to_owned(),
    })?;
    let mut settings = Vec::new();
    flatten(&lines, "", document.get_ref(), &mut settings);
    settings.sort_by_key(|(_, line, _)| *line);
    let written = |(key, line, raw)| Written { key, raw, origin: at(line) };
    Ok(settings.into_iter().map(written).collect())
}

struct Lines<'a> {
    text: &'a str,
}

impl Lines<'_> {
    /// The line, counted from 1, that holds the byte at `position`.
    fn number(&self, position: usize) -> usize {
        let before = self.text.as_bytes().iter().take(position);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// Tables become dots in the names, so that `[limits]` with `a = 1` and `limits.a = 1` are the same.
fn flatten(
    lines: &Lines<'_>,
    prefix: &str,
    table: &DeTable<'_>,
    settings: &mut Vec<(String, usize, Raw)>,
) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(lines, &name, inner, settings),
            other => settings.push((name, lines.number(key.span().start), raw(lines, other))),
        }
    }
}

fn raw(lines: &Lines<'_>, value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Other(number.as_str().to_owned()), Raw::Integer),
        DeValue::Float(number) => Raw::Other(number.as_str().to_owned()),
        DeValue::Datetime(moment) => Raw::Other(moment.to_string()),
        DeValue::Array(items) => {
            Raw::List(items.iter().map(|item| raw(lines, item.get_ref())).collect())
        }
        DeValue::Table(table) => {
            let field = |key: &toml::Spanned<_>, value: &toml::Spanned<_>| {
                let name: &toml::de::DeString<'_> = key.get_ref();
                (name.to_string(), lines.number(key.span().start), raw(lines, value.get_ref()))
            };
            Raw::Table(table.iter().map(|(key, value)| field(key, value)).collect())
        }
    }
}
