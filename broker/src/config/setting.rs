//! One setting: how a value is read, checked and printed, and the table that a group of settings makes.
//!
//! Owns the macro [`settings`], in which a setting is one field with its sentence, type, default and range.

use super::error::Origin;
use super::nearest::nearest;
use crate::base::{ByteSize, Millis};

/// A value as it was written, before its setting's type is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// From the environment or the command line, where everything is text.
    Loose(String),
    /// A text in the file.
    Text(String),
    /// A whole number in the file.
    Integer(i64),
    /// A truth value in the file.
    Bool(bool),
    /// A list in the file.
    List(Vec<Raw>),
    /// A table in the file, with the line of each key.
    Table(Vec<(String, usize, Raw)>),
    /// What no setting takes: a date, for example; as it was written.
    Other(String),
}

impl Raw {
    /// The text, however it was written.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Loose(text) | Self::Text(text) => Some(text.trim()),
            _ => None,
        }
    }

    /// The whole number, which the file must write without quotes.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Loose(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The truth value, which the file must write without quotes.
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Loose(text) => text.trim().to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// The list; text is split at commas.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Loose(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(|item| Self::Loose(item.to_owned())).collect())
            }
            _ => None,
        }
    }

    /// As a message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Loose(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::shown).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(_) => "a table".to_owned(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// What a setting allows: checked where it is a range, and always said in words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Allowed {
    /// A whole number.
    Count(u64, u64),
    /// A number of bytes, with or without a unit.
    Size(ByteSize, ByteSize),
    /// A time, with or without a unit.
    Time(Millis, Millis),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// What the words say; the type checks it.
    Form(&'static str),
}

impl Allowed {
    /// In words, for messages and for the sample file.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Size(min, max) => format!("a size from {min} to {max} (such as 65536 or 64KiB)"),
            Self::Time(min, max) => format!("a time from {min} to {max} (such as 1500 or 1500ms)"),
            Self::OneOf(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                quoted.join(" or ")
            }
            Self::Form(words) => (*words).to_owned(),
        }
    }

    fn holds(&self, number: u64) -> bool {
        match self {
            Self::Count(min, max) => (*min..=*max).contains(&number),
            Self::Size(min, max) => (min.bytes()..=max.bytes()).contains(&number),
            Self::Time(min, max) => (min.ms()..=max.ms()).contains(&number),
            Self::OneOf(_) | Self::Form(_) => true,
        }
    }
}

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// The keys of its tables, where it is a list that can hold some.
    const FIELDS: &'static [&'static str] = &[];

    /// Reads it; `None` when it is of another type.
    fn read(raw: &Raw) -> Option<Self>;

    /// As TOML writes it; empty when it is not set.
    fn shown(&self) -> String;

    /// What a range is checked against.
    fn number(&self) -> Option<u64> {
        None
    }
}

/// One line of the table of settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// The section, or empty for the top.
    pub(super) section: &'static str,
    /// The name within the section.
    pub(super) name: &'static str,
    /// What it is for, line by line.
    pub(super) doc: &'static [&'static str],
    /// What it can be.
    pub(super) allowed: Allowed,
}

impl Key {
    /// Section and name.
    pub(super) fn path(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }
}

/// Why a value was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// No setting has the name.
    Unknown,
    /// The value is not allowed; says what is.
    Value(String),
    /// A key within the value is wrong; says which, at which line, and the nearest.
    Within { key: String, line: usize, nearest: Option<String> },
}

/// A group of settings made by [`settings`].
pub(super) trait Section {
    /// Its settings, in the order of the sample file.
    fn keys() -> Vec<Key>;

    /// Sets the one with this name.
    fn set(&mut self, name: &str, raw: &Raw) -> Result<(), Refused>;

    /// The value of the one with this name, as TOML; empty when it is not set.
    fn shown(&self, name: &str) -> Option<String>;
}

/// Reads and checks one value.
pub(super) fn read<V: Value>(raw: &Raw, allowed: &Allowed) -> Result<V, Refused> {
    if let Raw::List(items) = raw {
        for item in items {
            within(item, V::FIELDS)?;
        }
    }
    V::read(raw)
        .filter(|value| value.number().is_none_or(|number| allowed.holds(number)))
        .ok_or_else(|| Refused::Value(allowed.words()))
}

/// A misspelt key in a table of a list deserves its own message.
fn within(item: &Raw, known: &[&str]) -> Result<(), Refused> {
    let Raw::Table(fields) = item else { return Ok(()) };
    for (name, line, _) in fields {
        if !known.contains(&name.as_str()) {
            let nearest = nearest(name, known.iter().copied()).map(str::to_owned);
            return Err(Refused::Within { key: name.clone(), line: *line, nearest });
        }
    }
    Ok(())
}

/// Where a value came from, beside the value.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// The setting's full name as it was written.
    pub(super) key: String,
    /// The value.
    pub(super) raw: Raw,
    /// Where.
    pub(super) origin: Origin,
}

/// Declares a group of settings: each is a field with sentence, type, default and what is allowed.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $allowed:expr;
            )*
        }
        $(with { $( $(#[$inner_meta:meta])* $inner:ident: $inner_type:ty, )* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
            $($( $(#[$inner_meta])* pub $inner: $inner_type, )*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    $($( $inner: Default::default(), )*)?
                }
            }
        }

        impl $crate::config::setting::Section for $name {
            fn keys() -> Vec<$crate::config::setting::Key> {
                vec![$(
                    $crate::config::setting::Key {
                        section: $section,
                        name: stringify!($field),
                        doc: &[$($doc),+],
                        allowed: $allowed,
                    },
                )*]
            }

            fn set(
                &mut self,
                name: &str,
                raw: &$crate::config::setting::Raw,
            ) -> Result<(), $crate::config::setting::Refused> {
                match name {
                    $(
                        stringify!($field) => {
                            self.$field = $crate::config::setting::read(raw, &$allowed)?;
                        }
                    )*
                    _ => return Err($crate::config::setting::Refused::Unknown),
                }
                Ok(())
            }

            fn shown(&self, name: &str) -> Option<String> {
                match name {
                    $(
                        stringify!($field) => {
                            Some($crate::config::setting::Value::shown(&self.$field))
                        }
                    )*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use settings;

impl Value for ByteSize {
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Integer(bytes) => u64::try_from(*bytes).ok().map(Self::new),
            other => other.text()?.parse().ok(),
        }
    }

    fn shown(&self) -> String {
        format!("{:?}", self.to_string())
    }

    fn number(&self) -> Option<u64> {
        Some(self.bytes())
    }
}

impl Value for Millis {
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Integer(ms) => u64::try_from(*ms).ok().map(Self::new),
            other => other.text()?.parse().ok(),
        }
    }

    fn shown(&self) -> String {
        format!("{:?}", self.to_string())
    }

    fn number(&self) -> Option<u64> {
        Some(self.ms())
    }
}

/// Whole numbers that fit into 64 bits without a sign.
macro_rules! whole_numbers {
    ($($type:ty),*) => {
        $(
            impl Value for $type {
                fn read(raw: &Raw) -> Option<Self> {
                    Self::try_from(raw.integer()?).ok()
                }

                fn shown(&self) -> String {
                    self.to_string()
                }

                fn number(&self) -> Option<u64> {
                    u64::try_from(*self).ok()
                }
            }
        )*
    };
}
whole_numbers!(u16, u32, usize, i32);
