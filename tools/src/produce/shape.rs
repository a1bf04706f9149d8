//! How a line becomes a record: key, timestamp, headers, partition.

use serde_json::Value;
use thalweg_client::{Record, TimestampMs};

use super::fields::FieldPath;

/// How a line becomes a record.
pub(super) struct Shape {
    pub(super) topic: String,
    pub(super) key_field: Option<FieldPath>,
    pub(super) timestamp_field: Option<FieldPath>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) partition: Option<i32>,
}

impl Shape {
    /// What the line's fields say: key and timestamp.
    pub(super) fn fields(
        &self,
        line: &[u8],
    ) -> Result<(Option<String>, Option<TimestampMs>), String> {
        if self.key_field.is_none() && self.timestamp_field.is_none() {
            return Ok((None, None));
        }
        let json: Value = serde_json::from_slice(line)
            .map_err(|error| format!("the line is not JSON, so it has no fields: {error}"))?;
        let key = self.key_field.as_ref().map(|field| field.key(&json)).transpose()?.flatten();
        let timestamp =
            self.timestamp_field.as_ref().map(|field| field.timestamp(&json)).transpose()?;
        Ok((key, timestamp))
    }

    /// The record of a line.
    pub(super) fn record<'a>(
        &'a self,
        line: &'a [u8],
        key: Option<&'a String>,
        timestamp: Option<TimestampMs>,
    ) -> Record<'a> {
        let mut record = Record::to(&self.topic).value(line);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(timestamp) = timestamp {
            record = record.timestamp(timestamp);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        self.headers.iter().fold(record, |record, (name, value)| record.header(name, value))
    }
}
