//! A field of a JSON line, named by a dotted path.

use std::str::FromStr;

use serde_json::Value;
use thalweg_protocol::TimestampMs;

use crate::timestamp;

/// Names from the outside in: `properties.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldPath {
    names: Vec<String>,
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(
                "write it as a name, or as names with dots between them: properties.net".to_owned()
            );
        }
        Ok(Self { names })
    }
}

/// How many names a message lists.
const NAMES_MAX: usize = 12;

impl FieldPath {
    /// The field's value.
    pub(super) fn find<'a>(&self, line: &'a Value) -> Result<&'a Value, String> {
        let mut found = line;
        for (depth, name) in self.names.iter().enumerate() {
            found = match step(found, name) {
                Some(inner) => inner,
                None => return Err(self.missing(depth, found)),
            };
        }
        Ok(found)
    }

    /// The field as the bytes of a key; `None` for null.
    pub(super) fn key(&self, line: &Value) -> Result<Option<String>, String> {
        match self.find(line)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Object(inner) => Err(format!(
                "field {self} is an object, which cannot be a key; choose one of its fields: {}",
                listed(inner.keys())
            )),
            Value::Array(_) => Err(format!("field {self} is a list, which cannot be a key")),
            plain => Ok(Some(plain.to_string())),
        }
    }

    /// The field as a moment.
    pub(super) fn timestamp(&self, line: &Value) -> Result<TimestampMs, String> {
        let found = self.find(line)?;
        let moment = match found {
            Value::Number(number) => number.as_i64().filter(|ms| *ms >= 0).map(TimestampMs::new),
            Value::String(text) => timestamp::parse(text),
            _ => None,
        };
        moment.ok_or_else(|| {
            format!(
                "field {self} is {found}, which is no moment; possible are milliseconds since 1970, \
                 or a text such as \"2018-02-01T12:30:00Z\""
            )
        })
    }

    /// Says how far the path goes and what there is.
    fn missing(&self, depth: usize, found: &Value) -> String {
        let there = self.names.get(..depth).unwrap_or_default().join(".");
        let at = if there.is_empty() { "it".to_owned() } else { format!("{there:?}") };
        let has = match found {
            Value::Object(fields) if fields.is_empty() => "has no field at all".to_owned(),
            Value::Object(fields) => format!("has {}", listed(fields.keys())),
            Value::Array(items) => format!("is a list of {}", items.len()),
            plain => format!("is {plain}"),
        };
        format!("there is no field {self}: {at} {has}")
    }
}

fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let names: Vec<&str> = names.take(NAMES_MAX).map(String::as_str).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.names.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, line: &str) -> Result<Option<String>, String> {
        let path: FieldPath = path.parse().unwrap();
        path.key(&serde_json::from_str(line).unwrap())
    }

    #[test]
    fn keys_are_texts_numbers_truths_or_null() {
        let line = r#"{"a":{"b":"x"},"n":1.50,"t":true,"z":null,"l":["p","q"]}"#;
        assert_eq!(key("a.b", line), Ok(Some("x".to_owned())));
        assert_eq!(key("n", line), Ok(Some("1.5".to_owned())));
        assert_eq!(key("t", line), Ok(Some("true".to_owned())));
        assert_eq!(key("z", line), Ok(None));
        assert_eq!(key("l.1", line), Ok(Some("q".to_owned())));
    }

    #[test]
    fn a_missing_field_says_what_there_is() {
        let line = r#"{"a":{"b":"x","c":1},"l":[1]}"#;
        let error = |path| key(path, line).unwrap_err();
        assert_eq!(error("x"), r#"there is no field "x": it has a, l"#);
        assert_eq!(error("a.x"), r#"there is no field "a.x": "a" has b, c"#);
        assert_eq!(error("a.b.x"), r#"there is no field "a.b.x": "a.b" is "x""#);
        assert!(error("a").contains("choose one of its fields: b, c"));
        assert!("a..b".parse::<FieldPath>().is_err());
    }

    #[test]
    fn moments_are_milliseconds_or_texts() {
        let moment = |line: &str| {
            let path: FieldPath = "t".parse().unwrap();
            path.timestamp(&serde_json::from_str(line).unwrap()).map(TimestampMs::get)
        };
        assert_eq!(moment(r#"{"t":1517443200000}"#), Ok(1_517_443_200_000));
        assert_eq!(moment(r#"{"t":"2018-02-01T00:00:00Z"}"#), Ok(1_517_443_200_000));
        assert!(moment(r#"{"t":"soon"}"#).unwrap_err().contains("possible are milliseconds"));
    }
}
