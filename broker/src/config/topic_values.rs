//! The types that topic settings have, and how each is read from text and written back.

use std::fmt;
use std::str::FromStr;

use super::setting::Raw;
use crate::base::{ByteSize, Millis};

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanupPolicy {
    /// Whole segments go by age and size.
    Delete,
    /// The last record of each key stays.
    Compact,
    /// Both.
    CompactAndDelete,
}

/// Whose clock a record's timestamp is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// What `acks=all` waits for on every in-sync replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Stable storage.
    Synced,
    /// Memory.
    Replicated,
}

/// How stored batches are compressed; kept so that Kafka's tools find the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer did.
    Producer,
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

impl Ratio {
    /// The share in millionths.
    pub fn ppm(self) -> u32 {
        let ppm = (self.0.clamp(0.0, 1.0) * 1_000_000.0).round();
        // Whole and within the range: the text of it is a number of at most seven digits.
        format!("{ppm:.0}").parse().unwrap_or(1_000_000)
    }
}

/// How the numbers of a setting may be written beside plain digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Only plainly.
    Count,
    /// As `64MiB`.
    Bytes,
    /// As `7d`.
    Ms,
}

/// A type that a topic setting can have.
pub(super) trait TopicValue: Sized {
    /// Reads it; `None` when it is of another type.
    fn read(raw: &Raw, unit: Unit) -> Option<Self>;

    /// As Kafka's tools write it.
    fn text(&self) -> String;

    /// What a range is checked against.
    fn number(&self) -> Option<i64> {
        None
    }
}

/// A whole number, with its unit if it has one.
fn whole(raw: &Raw, unit: Unit) -> Option<i64> {
    if let Some(number) = raw.integer() {
        return Some(number);
    }
    // Plain digits within quotes are Kafka's own way to write a setting.
    let text = raw.text()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number = match unit {
        Unit::Count => return None,
        Unit::Bytes => text.parse::<ByteSize>().ok()?.bytes(),
        Unit::Ms => text.parse::<Millis>().ok()?.ms(),
    };
    i64::try_from(number).ok()
}

/// Numbers of the sizes that the log takes.
macro_rules! numbers {
    ($($type:ty),*) => {
        $(
            impl TopicValue for $type {
                fn read(raw: &Raw, unit: Unit) -> Option<Self> {
                    Self::try_from(whole(raw, unit)?).ok()
                }

                fn text(&self) -> String {
                    self.to_string()
                }

                fn number(&self) -> Option<i64> {
                    Some(i64::from(*self))
                }
            }
        )*
    };
}
numbers!(i64, i32, u32);

impl TopicValue for bool {
    fn read(raw: &Raw, _: Unit) -> Option<Self> {
        raw.bool().or_else(|| raw.text()?.to_ascii_lowercase().parse().ok())
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl TopicValue for Ratio {
    fn read(raw: &Raw, _: Unit) -> Option<Self> {
        let share: f64 = match raw {
            Raw::Integer(0) => 0.0,
            Raw::Integer(1) => 1.0,
            Raw::Other(text) => text.parse().ok()?,
            other => other.text()?.parse().ok()?,
        };
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Settings that are one of a few words.
macro_rules! words {
    ($($type:ident { $($text:literal => $variant:ident),* })*) => {
        $(
            impl TopicValue for $type {
                fn read(raw: &Raw, _: Unit) -> Option<Self> {
                    raw.text()?.parse().ok()
                }

                fn text(&self) -> String {
                    self.to_string()
                }
            }

            impl FromStr for $type {
                type Err = ();

                fn from_str(text: &str) -> Result<Self, ()> {
                    match text {
                        $($text => Ok(Self::$variant),)*
                        _ => Err(()),
                    }
                }
            }

            impl fmt::Display for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(match self {
                        $(Self::$variant => $text,)*
                    })
                }
            }
        )*
    };
}

words! {
    TimestampType { "CreateTime" => CreateTime, "LogAppendTime" => LogAppendTime }
    Durability { "synced" => Synced, "replicated" => Replicated }
    StoredCompression { "producer" => Producer }
}

impl TopicValue for CleanupPolicy {
    fn read(raw: &Raw, _: Unit) -> Option<Self> {
        let names: Vec<String> = match raw {
            Raw::List(items) => {
                items.iter().map(|item| item.text().map(str::to_owned)).collect::<Option<_>>()?
            }
            other => other.text()?.split(',').map(|name| name.trim().to_owned()).collect(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["delete"] => Some(Self::Delete),
            ["compact"] => Some(Self::Compact),
            ["compact", "delete"] | ["delete", "compact"] => Some(Self::CompactAndDelete),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
            Self::CompactAndDelete => "compact,delete",
        }
        .to_owned()
    }
}
