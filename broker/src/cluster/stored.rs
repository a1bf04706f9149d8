//! The metadata's files as bytes: heads, entries, snapshots, and where a log's good bytes end.
//!
//! Pure. Tells a torn tail from damage: an entry is written only after the one before it was synced. So bad
//! bytes that a good later entry follows were synced once and are damage; bad bytes at the very end are the
//! one write that a crash cut short, which nobody was told had succeeded.

use std::ops::Range;

use bytes::Bytes;
use thalweg_protocol::codec::{DecodeError, Reader, Writer};

use super::image::{Image, MetadataIndex, Term};
use super::record::{RECORD_BYTES_MIN, Record, RecordError};
use super::replay_error::ReplayError;

/// The format of both files that this release writes.
pub(super) const FORMAT: u16 = 1;

const LOG_MAGIC: [u8; 8] = *b"THLWMLOG";
const SNAPSHOT_MAGIC: [u8; 8] = *b"THLWMSNP";

/// Magic, format, two zero bytes, base index, CRC-32 of these.
pub(super) const LOG_HEAD_BYTES: usize = 24;

/// Length and CRC-32, in front of every entry.
const ENTRY_HEAD_BYTES: usize = 8;

/// Index, term and number of records: what an entry without records holds behind its head.
const ENTRY_BODY_BYTES_MIN: usize = 20;

/// The most bytes of an entry behind its length: no proposal is larger, so no larger length is believed.
pub(super) const ENTRY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: MetadataIndex,
    pub(super) term: Term,
    pub(super) records: Vec<Record>,
}

/// What a log file holds.
#[derive(Debug)]
pub(super) struct LogContent {
    /// The entries, without a gap from the base index on.
    pub(super) entries: Vec<Entry>,
    /// Where the last entry stands; empty at the end of the head when there is none. The bytes behind are
    /// a torn tail.
    pub(super) last: Range<usize>,
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StoredError {
    /// Bytes that were synced are not what they were.
    Damaged { position: usize, reason: String },
    /// A later release wrote it.
    Format { found: u16 },
    /// A record in it is not understood.
    Record { index: MetadataIndex, source: RecordError },
    /// A record in it does not fit.
    Replay { index: MetadataIndex, source: ReplayError },
}

/// The head of a log file whose entries begin behind `base`.
pub(super) fn encode_log_head(base: MetadataIndex) -> Bytes {
    let mut writer = Writer::with_capacity(LOG_HEAD_BYTES);
    writer.put(&LOG_MAGIC);
    writer.u16(FORMAT);
    writer.u16(0);
    writer.u64(base.get());
    with_checksum(writer)
}

/// One entry: length, CRC-32 of what follows, index, term, records.
pub(super) fn encode_entry(index: MetadataIndex, term: Term, records: &[Record]) -> Bytes {
    let mut body = Writer::new();
    body.u64(index.get());
    body.u64(term.get());
    body.count(records.len());
    for record in records {
        record.encode(&mut body);
    }
    let body = body.into_bytes();
    let mut writer = Writer::with_capacity(ENTRY_HEAD_BYTES + body.len());
    writer.count(body.len());
    writer.u32(crc32fast::hash(&body));
    writer.put(&body);
    writer.into_bytes()
}

/// An image as a snapshot file.
pub(super) fn encode_snapshot(image: &Image) -> Bytes {
    let records = image.to_records();
    let mut writer = Writer::new();
    writer.put(&SNAPSHOT_MAGIC);
    writer.u16(FORMAT);
    writer.u16(0);
    writer.u64(image.index().get());
    writer.u64(image.term().get());
    writer.count(records.len());
    for record in &records {
        record.encode(&mut writer);
    }
    with_checksum(writer)
}

/// The bytes, then their CRC-32.
fn with_checksum(writer: Writer) -> Bytes {
    let bytes = writer.into_bytes();
    let mut whole = Writer::with_capacity(bytes.len() + 4);
    whole.put(&bytes);
    whole.u32(crc32fast::hash(&bytes));
    whole.into_bytes()
}

/// The image in a snapshot file that is named by `index`.
pub(super) fn decode_snapshot(bytes: &Bytes, index: MetadataIndex) -> Result<Image, StoredError> {
    let mut reader = checked(bytes, SNAPSHOT_MAGIC)?;
    let at_head = |source: DecodeError| damaged(0, source.to_string());
    let found = reader.u64("snapshot index").map(MetadataIndex::new).map_err(at_head)?;
    let term = reader.u64("snapshot term").map(Term::new).map_err(at_head)?;
    if found != index {
        return Err(damaged(0, format!("it is of index {found}, its name says {index}")));
    }
    let records = decode_records(&mut reader, index)?;
    reader.finish("snapshot").map_err(at_head)?;
    Image::default()
        .with_entry(index, term, &records)
        .map_err(|source| StoredError::Replay { index, source })
}

/// Everything in a log file whose entries begin behind `base`.
pub(super) fn decode_log(bytes: &Bytes, base: MetadataIndex) -> Result<LogContent, StoredError> {
    decode_log_head(bytes, base)?;
    let mut content = LogContent { entries: Vec::new(), last: LOG_HEAD_BYTES..LOG_HEAD_BYTES };
    let mut last = (base, Term::default());
    while content.last.end < bytes.len() {
        let start = content.last.end;
        let Some((end, body)) = checked_entry(bytes, start) else {
            refuse_damage(bytes, start, last.0)?;
            break;
        };
        let entry = decode_entry(body)
            .map_err(|source| StoredError::Record { index: last.0.next(), source })?;
        if entry.index != last.0.next() || entry.term < last.1 {
            let Entry { index, term, .. } = entry;
            let reason = format!(
                "entry {index} of term {term} does not follow entry {} of term {}",
                last.0, last.1
            );
            return Err(damaged(start, reason));
        }
        last = (entry.index, entry.term);
        content.last = start..end;
        content.entries.push(entry);
    }
    Ok(content)
}

fn decode_log_head(bytes: &Bytes, base: MetadataIndex) -> Result<(), StoredError> {
    let Some(head) = bytes.get(..LOG_HEAD_BYTES) else {
        return Err(damaged(0, format!("{} bytes are no head", bytes.len())));
    };
    let mut reader = checked(&bytes.slice_ref(head), LOG_MAGIC)?;
    match reader.u64("base index").map(MetadataIndex::new) {
        Ok(found) if found == base => Ok(()),
        Ok(found) => Err(damaged(0, format!("its base is {found}, its name says {base}"))),
        Err(source) => Err(damaged(0, source.to_string())),
    }
}

/// What lies between the format and the CRC-32 at the end, once magic, format and CRC-32 were found right.
fn checked(bytes: &Bytes, magic: [u8; 8]) -> Result<Reader, StoredError> {
    let too_short = || damaged(0, format!("{} bytes are too few", bytes.len()));
    let (content, checksum) = bytes.split_last_chunk::<4>().ok_or_else(too_short)?;
    let mut reader = Reader::new(bytes.slice_ref(content));
    let short = |_| too_short();
    if reader.array::<8>("magic").map_err(short)? != magic {
        return Err(damaged(0, "it does not begin as a metadata file does".to_owned()));
    }
    let format = reader.u16("format").map_err(short)?;
    reader.u16("reserved").map_err(short)?;
    let (expected, found) = (u32::from_be_bytes(*checksum), crc32fast::hash(content));
    if expected != found {
        let reason = format!("checksum {found:#010x}, expected {expected:#010x}");
        return Err(damaged(0, reason));
    }
    if format != FORMAT {
        return Err(StoredError::Format { found: format });
    }
    Ok(reader)
}

/// The end and the body of the entry at `start`, if its length and CRC-32 are right.
fn checked_entry(bytes: &Bytes, start: usize) -> Option<(usize, Bytes)> {
    let (length, rest) = bytes.get(start..)?.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if !(ENTRY_BODY_BYTES_MIN..=ENTRY_BYTES_MAX).contains(&length) {
        return None;
    }
    let body = rest.get(..length)?;
    let right = crc32fast::hash(body) == u32::from_be_bytes(*checksum);
    right.then(|| (start + ENTRY_HEAD_BYTES + length, bytes.slice_ref(body)))
}

fn decode_entry(body: Bytes) -> Result<Entry, RecordError> {
    let mut reader = Reader::new(body);
    let head = |source| RecordError::Head { source };
    let index = reader.u64("entry index").map(MetadataIndex::new).map_err(head)?;
    let term = reader.u64("entry term").map(Term::new).map_err(head)?;
    let count = reader.count(RECORD_BYTES_MIN, "entry records").map_err(head)?;
    let records = (0..count).map(|_| Record::decode(&mut reader)).collect::<Result<_, _>>()?;
    reader.finish("entry").map_err(head)?;
    Ok(Entry { index, term, records })
}

fn decode_records(reader: &mut Reader, index: MetadataIndex) -> Result<Vec<Record>, StoredError> {
    let refuse = |source| StoredError::Record { index, source };
    let count = reader
        .count(RECORD_BYTES_MIN, "snapshot records")
        .map_err(|source| refuse(RecordError::Head { source }))?;
    (0..count).map(|_| Record::decode(reader).map_err(refuse)).collect()
}

/// Refuses a bad entry at `start` when a later entry is good. The length of the bad one may be what is
/// damaged, so every byte behind it is tried as the begin of an entry.
fn refuse_damage(bytes: &Bytes, start: usize, last: MetadataIndex) -> Result<(), StoredError> {
    let bad = last.next();
    for position in start + 1..bytes.len() {
        // A later entry's index lies near: try the checksum only where one does.
        let body = position + ENTRY_HEAD_BYTES;
        let index = bytes.get(body..).and_then(|rest| rest.first_chunk::<8>());
        let Some(index) = index.map(|index| u64::from_be_bytes(*index)) else {
            break;
        };
        let entries_max = (bytes.len() - start) / (ENTRY_HEAD_BYTES + ENTRY_BODY_BYTES_MIN);
        let near = index.checked_sub(bad.get()).and_then(|ahead| usize::try_from(ahead).ok());
        if near.is_some_and(|ahead| (1..=entries_max).contains(&ahead))
            && checked_entry(bytes, position).is_some()
        {
            let reason = format!(
                "entry {bad} cannot be read, but entry {index} at byte {position} can, so it was complete once"
            );
            return Err(damaged(start, reason));
        }
    }
    Ok(())
}

const fn damaged(position: usize, reason: String) -> StoredError {
    StoredError::Damaged { position, reason }
}
