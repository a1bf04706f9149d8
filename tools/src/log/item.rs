//! One thing that lies on a disk, as text and as JSON.

use serde::Serialize;
use thalweg_protocol::batch::{BatchHeader, RecordRef};
use thalweg_protocol::{Offset, TimestampMs};

use super::segment::BadRange;
use crate::timestamp;
use crate::values;

/// What `dump` prints.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Item {
    File {
        path: String,
        what: &'static str,
        bytes: u64,
    },
    Batch(BatchItem),
    Record(RecordItem),
    Damage {
        position: u64,
        end: u64,
        reason: String,
    },
    OffsetEntry {
        last_offset: i64,
        position: u32,
    },
    TimeEntry {
        timestamp: i64,
        last_offset: i64,
    },
    TransactionEntry {
        producer: i64,
        first_offset: i64,
        last_offset: i64,
        last_stable_offset: i64,
    },
    LeaderEpoch {
        leader_epoch: i32,
        first_offset: i64,
    },
    /// Kafka keeps a row without a batch of a producer whose last transaction has ended: -1, -1 and no records.
    Producer {
        producer: i64,
        epoch: i16,
        last_sequence: i32,
        last_offset: i64,
        records: i64,
        appended: i64,
    },
    Checkpoint {
        partition: String,
        segment: Option<i64>,
        value: i64,
    },
    Metadata {
        position: usize,
        index: u64,
        term: u64,
        records: Vec<String>,
    },
    Line {
        text: String,
    },
}

/// A batch's header.
#[derive(Debug, Serialize)]
pub(super) struct BatchItem {
    position: u64,
    bytes: usize,
    base_offset: i64,
    last_offset: i64,
    records: i32,
    leader_epoch: i32,
    producer: i64,
    producer_epoch: i16,
    base_sequence: i32,
    last_sequence: i32,
    codec: String,
    timestamp_type: String,
    transactional: bool,
    control: bool,
    base_timestamp: i64,
    max_timestamp: i64,
    crc: u32,
    /// A batch with another checksum is printed as damage.
    crc_valid: bool,
}

impl BatchItem {
    pub(super) fn new(position: u64, header: &BatchHeader) -> Self {
        let codec = header.attributes.compression();
        Self {
            position,
            bytes: header.total_bytes(),
            base_offset: header.base_offset.get(),
            last_offset: header.last_offset().get(),
            records: header.record_count,
            leader_epoch: header.leader_epoch.get(),
            producer: header.producer.get(),
            producer_epoch: header.producer_epoch.get(),
            base_sequence: header.base_sequence.get(),
            last_sequence: if header.is_idempotent() { header.last_sequence().get() } else { -1 },
            codec: codec.map_or_else(|error| error.to_string(), |codec| codec.to_string()),
            timestamp_type: header.attributes.timestamp_type().to_string(),
            transactional: header.attributes.is_transactional(),
            control: header.attributes.is_control(),
            base_timestamp: header.base_timestamp.get(),
            max_timestamp: header.max_timestamp.get(),
            crc: header.crc,
            crc_valid: true,
        }
    }

    fn text(&self) -> String {
        let producer = match self.producer {
            -1 => "no producer id".to_owned(),
            id => format!(
                "producer {id} epoch {} sequences {}–{}",
                self.producer_epoch, self.base_sequence, self.last_sequence
            ),
        };
        let marks = [(self.transactional, "  transactional"), (self.control, "  control")];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        format!(
            "  @{:<10} offsets {}–{}  {} records  leader epoch {}  {producer}  codec {}  {} bytes  \
             crc {:#010x} valid  {} to {}{marks}",
            self.position,
            self.base_offset,
            self.last_offset,
            self.records,
            self.leader_epoch,
            self.codec,
            self.bytes,
            self.crc,
            timestamp::print(TimestampMs::new(self.base_timestamp)),
            timestamp::print(TimestampMs::new(self.max_timestamp)),
        )
    }
}

/// A record.
#[derive(Debug, Serialize)]
pub(super) struct RecordItem {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

impl RecordItem {
    pub(super) fn new(record: &RecordRef<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            offset: record.offset.get(),
            timestamp: record.timestamp.get(),
            key: record.key.map(text),
            value: record.value.map(text),
            headers: record
                .headers
                .iter()
                .map(|header| (header.key_text().into_owned(), header.value.map(text)))
                .collect(),
        }
    }

    fn text(&self) -> String {
        let shown = |text: &Option<String>| {
            text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("{text:?}"))
        };
        let headers: Vec<String> =
            self.headers.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
        let headers = if headers.is_empty() {
            String::new()
        } else {
            format!("  headers {}", headers.join(","))
        };
        format!(
            "      offset {}  {}  key {}  value {}{headers}",
            self.offset,
            timestamp::print(TimestampMs::new(self.timestamp)),
            shown(&self.key),
            shown(&self.value),
        )
    }
}

impl Item {
    pub(super) fn damage(range: &BadRange) -> Self {
        Self::Damage { position: range.from, end: range.to, reason: range.reason.clone() }
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::File { path, what, bytes } => format!("{path}: {what}, {}", values::size(*bytes)),
            Self::Batch(batch) => batch.text(),
            Self::Record(record) => record.text(),
            Self::Damage { position, end, reason } => {
                format!("  @{position:<10} DAMAGED up to byte {end}: {reason}")
            }
            Self::OffsetEntry { last_offset, position } => {
                format!("  up to offset {last_offset} at byte {position}")
            }
            Self::TimeEntry { timestamp, last_offset } => {
                format!(
                    "  {} up to offset {last_offset}",
                    timestamp::print(TimestampMs::new(*timestamp))
                )
            }
            Self::TransactionEntry { producer, first_offset, last_offset, last_stable_offset } => {
                format!(
                    "  producer {producer} aborted offsets {first_offset}–{last_offset}, last stable {last_stable_offset}"
                )
            }
            Self::LeaderEpoch { leader_epoch, first_offset } => {
                format!("  leader epoch {leader_epoch} from offset {first_offset}")
            }
            Self::Producer { producer, epoch, records: 0, appended, .. } => {
                format!(
                    "  producer {producer} epoch {epoch}: no batch is remembered, last seen {}",
                    timestamp::print(TimestampMs::new(*appended))
                )
            }
            Self::Producer { producer, epoch, last_sequence, last_offset, records, appended } => {
                format!(
                    "  producer {producer} epoch {epoch}: sequences up to {last_sequence} at offset {last_offset}, \
                 {records} records, appended {}",
                    timestamp::print(TimestampMs::new(*appended))
                )
            }
            Self::Checkpoint { partition, segment, value } => {
                let segment = segment
                    .map(|base| format!(" segment {}", Offset::new(base)))
                    .unwrap_or_default();
                format!("  {partition}{segment}: {value}")
            }
            Self::Metadata { position, index, term, records } => {
                format!("  @{position:<10} index {index}  term {term}  {}", records.join(", "))
            }
            Self::Line { text } => format!("  {text}"),
        }
    }
}
