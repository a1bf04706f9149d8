//! How `consume` prints a record: its value, a JSON object, or fields in a pattern.

use std::borrow::Cow;
use std::io::{self, Write};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use thalweg_client::ConsumedRecord;

/// How bytes of a key, a value or a header become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Encoding {
    /// As it is; in JSON, bytes that are not UTF-8 become U+FFFD
    Text,
    /// Base64, which keeps every byte
    Base64,
}

/// What is printed of each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The value and a line break.
    Value,
    /// One JSON object a line.
    Json,
    /// Fields in a text of one's own; a line break follows if it does not end in one.
    Pattern(Vec<Piece>),
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it stands.
    Text(String),
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%T`
    Timestamp,
    /// `%k`
    Key,
    /// `%v`
    Value,
    /// `%h`
    Headers,
}

const POSSIBLE: &str = "possible are: value; json; or a pattern of %t topic, %p partition, %o offset, \
     %T timestamp in ms, %k key, %v value, %h headers, %% a percent sign, \\n a line break, \\t a tab";

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "value" => Ok(Self::Value),
            "json" => Ok(Self::Json),
            _ if !text.contains('%') => Err(POSSIBLE.to_owned()),
            pattern => pieces(pattern).map(Self::Pattern),
        }
    }
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        let piece = match char {
            '\\' => {
                text.push(escaped(chars.next())?);
                continue;
            }
            '%' => field(chars.next())?,
            _ => None,
        };
        match piece {
            Some(piece) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(piece);
            }
            None => text.push(char),
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn escaped(char: Option<char>) -> Result<char, String> {
    match char {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        Some(other) => Err(format!("there is no \\{other}; {POSSIBLE}")),
        None => Err(format!("it ends in a lone backslash; {POSSIBLE}")),
    }
}

/// `None` for a percent sign.
fn field(char: Option<char>) -> Result<Option<Piece>, String> {
    Ok(Some(match char {
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('T') => Piece::Timestamp,
        Some('k') => Piece::Key,
        Some('v') => Piece::Value,
        Some('h') => Piece::Headers,
        Some('%') => return Ok(None),
        Some(other) => return Err(format!("there is no field %{other}; {POSSIBLE}")),
        None => return Err(format!("it ends in a lone percent sign; {POSSIBLE}")),
    }))
}

/// One record as JSON shows it.
#[derive(Serialize)]
struct Shown<'a> {
    /// Where several topics are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    headers: Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>,
}

/// Prints records.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    encoding: Encoding,
    /// Whether several topics may be read.
    names_topics: bool,
    /// Whether text had to be changed because it was not UTF-8.
    changed: bool,
}

impl Printer {
    /// Prints so.
    pub(super) const fn new(format: Format, encoding: Encoding, names_topics: bool) -> Self {
        Self { format, encoding, names_topics, changed: false }
    }

    /// Whether some bytes were not UTF-8 and are not shown as they are.
    pub(super) const fn has_changed_text(&self) -> bool {
        self.changed
    }

    /// Writes one record.
    pub(super) fn write(&mut self, out: &mut dyn Write, record: &ConsumedRecord) -> io::Result<()> {
        match &self.format {
            Format::Json => {
                let shown = self.shown(record);
                self.changed |= shown.1;
                serde_json::to_writer(&mut *out, &shown.0)?;
                out.write_all(b"\n")
            }
            Format::Value => {
                self.raw(out, record.value.as_deref())?;
                out.write_all(b"\n")
            }
            Format::Pattern(pieces) => {
                pieces.iter().try_for_each(|piece| self.piece(out, piece, record))
            }
        }
    }

    fn piece(&self, out: &mut dyn Write, piece: &Piece, record: &ConsumedRecord) -> io::Result<()> {
        match piece {
            Piece::Text(text) => out.write_all(text.as_bytes()),
            Piece::Topic => write!(out, "{}", record.topic),
            Piece::Partition => write!(out, "{}", record.partition),
            Piece::Offset => write!(out, "{}", record.offset),
            Piece::Timestamp => write!(out, "{}", record.timestamp),
            Piece::Key => self.raw(out, record.key.as_deref()),
            Piece::Value => self.raw(out, record.value.as_deref()),
            Piece::Headers => {
                for (place, header) in record.headers.iter().enumerate() {
                    write!(out, "{}{}=", if place > 0 { "," } else { "" }, header.key_text())?;
                    self.raw(out, header.value)?;
                }
                Ok(())
            }
        }
    }

    /// Bytes as they are, or in base64; nothing for none.
    fn raw(&self, out: &mut dyn Write, bytes: Option<&[u8]>) -> io::Result<()> {
        let Some(bytes) = bytes else { return Ok(()) };
        match self.encoding {
            Encoding::Text => out.write_all(bytes),
            Encoding::Base64 => out.write_all(STANDARD.encode(bytes).as_bytes()),
        }
    }

    /// The record for JSON, and whether text had to be changed.
    fn shown<'a>(&self, record: &'a ConsumedRecord) -> (Shown<'a>, bool) {
        let mut changed = false;
        let mut text = |bytes: &'a [u8]| match self.encoding {
            Encoding::Base64 => Cow::Owned(STANDARD.encode(bytes)),
            Encoding::Text => {
                let text = String::from_utf8_lossy(bytes);
                changed |= matches!(text, Cow::Owned(_));
                text
            }
        };
        let shown = Shown {
            topic: self.names_topics.then(|| record.topic.as_str()),
            partition: record.partition.get(),
            offset: record.offset.get(),
            timestamp: record.timestamp.get(),
            key: record.key.as_deref().map(&mut text),
            value: record.value.as_deref().map(&mut text),
            headers: record
                .headers
                .iter()
                .map(|header| (header.key_text(), header.value.map(&mut text)))
                .collect(),
        };
        (shown, changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_cut_into_fields_and_text() {
        let parsed: Format = "%k\\t%v 100%%".parse().unwrap();
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            parsed,
            Format::Pattern(vec![Piece::Key, text("\t"), Piece::Value, text(" 100%\n")])
        );
        let own_end: Format = "%o\\n".parse().unwrap();
        assert_eq!(own_end, Format::Pattern(vec![Piece::Offset, text("\n")]));
    }

    #[test]
    fn a_bad_format_says_what_is_possible() {
        for bad in ["xml", "%x", "%k %", "%v\\", "%v\\q", ""] {
            let error = bad.parse::<Format>().unwrap_err();
            assert!(error.contains("possible are: value; json;"), "{bad}: {error}");
        }
    }
}
