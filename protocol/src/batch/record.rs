//! One record: its fields, borrowed or shared, and its headers in order.

use std::borrow::Cow;

use bytes::Bytes;

use super::error::RecordFault;
use crate::codec::varint;
use crate::{Offset, TimestampMs};

/// The fewest bytes of a record: length, attributes, two deltas, two lengths, header count.
pub(super) const RECORD_BYTES_MIN: usize = 7;
/// The fewest bytes of a header: two lengths.
const HEADER_BYTES_MIN: usize = 2;

/// A record that borrows from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its place in the partition.
    pub offset: Offset,
    /// Its time, by the clock that the batch names.
    pub timestamp: TimestampMs,
    /// What it is about; compaction keeps the last record of each key.
    pub key: Option<&'a [u8]>,
    /// What it says; a key without a value is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: HeadersRef<'a>,
}

/// A record whose bytes are shared with its batch (or with what that inflated to): a clone copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: Offset,
    /// Its time, by the clock that the batch names.
    pub timestamp: TimestampMs,
    /// What it is about; compaction keeps the last record of each key.
    pub key: Option<Bytes>,
    /// What it says; a key without a value is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its key: UTF-8 by the format, though nobody checks that on the way.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderRef<'a> {
    /// The key as text; bytes that are not UTF-8 are shown as U+FFFD.
    pub fn key_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// A record's headers, in order and with their duplicates, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HeadersRef<'a> {
    count: usize,
    /// `count` headers and nothing else: checked when the record was read.
    bytes: &'a [u8],
}

impl<'a> HeadersRef<'a> {
    /// How many headers there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub const fn iter(&self) -> HeadersIter<'a> {
        HeadersIter { left: self.count, bytes: self.bytes }
    }

    /// The value of the last header with this key, which is the one that counts by Kafka's custom; the
    /// outer `None` when there is no such header.
    pub fn last(&self, key: &str) -> Option<Option<&'a [u8]>> {
        let same = self.iter().filter(|header| header.key == key.as_bytes());
        same.last().map(|header| header.value)
    }

    /// The same headers, shared; `buffer` is what they were read from.
    pub(super) fn share(&self, buffer: &Bytes) -> Headers {
        if self.is_empty() {
            return Headers::default();
        }
        Headers { count: self.count, bytes: buffer.slice_ref(self.bytes) }
    }
}

impl<'a> IntoIterator for HeadersRef<'a> {
    type Item = HeaderRef<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &HeadersRef<'a> {
    type Item = HeaderRef<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A record's headers, in order and with their duplicates, shared with its batch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Headers {
    count: usize,
    bytes: Bytes,
}

impl Headers {
    /// How many headers there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> HeadersIter<'_> {
        self.borrow().iter()
    }

    /// The value of the last header with this key, which is the one that counts by Kafka's custom; the
    /// outer `None` when there is no such header.
    pub fn last(&self, key: &str) -> Option<Option<&[u8]>> {
        self.borrow().last(key)
    }

    /// The same headers, borrowed.
    pub fn borrow(&self) -> HeadersRef<'_> {
        HeadersRef { count: self.count, bytes: &self.bytes }
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = HeaderRef<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Walks over a record's headers in order.
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // Checked when the record was read, so this cannot fail.
        take_header(&mut self.bytes).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

/// The fields of a record as they are written: deltas, not yet a place and a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: HeadersRef<'a>,
}

/// Takes one record off the front of `data`: its length, then exactly so many bytes of fields.
#[inline]
pub(super) fn take_record<'a>(data: &mut &'a [u8]) -> Result<Fields<'a>, RecordFault> {
    let length = take_i32(data, "record length")?;
    let mut record = take_bytes(data, length, "record length")?;
    // The record's own attributes: unused by every version, ignored like everywhere.
    record = record.split_first().ok_or(RecordFault::Number { what: "attributes byte" })?.1;
    let timestamp_delta =
        varint::take_i64(&mut record).ok_or(RecordFault::Number { what: "timestamp delta" })?;
    let offset_delta = take_i32(&mut record, "offset delta")?;
    let key = take_nullable(&mut record, "key length")?;
    let value = take_nullable(&mut record, "value length")?;
    let headers = take_headers(&mut record)?;
    if !record.is_empty() {
        return Err(RecordFault::Trailing { left: record.len() });
    }
    Ok(Fields { timestamp_delta, offset_delta, key, value, headers })
}

#[inline]
fn take_headers<'a>(record: &mut &'a [u8]) -> Result<HeadersRef<'a>, RecordFault> {
    const WHAT: &str = "header count";
    let found = take_i32(record, WHAT)?;
    if found == 0 {
        return Ok(HeadersRef::default());
    }
    let left = record.len();
    let fault = RecordFault::Length { what: WHAT, found, left };
    let count = usize::try_from(found).map_err(|_| fault)?;
    if count > left / HEADER_BYTES_MIN {
        return Err(fault);
    }
    let start = *record;
    for _ in 0..count {
        take_header(record)?;
    }
    let (bytes, _) = start.split_at(start.len() - record.len());
    Ok(HeadersRef { count, bytes })
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<HeaderRef<'a>, RecordFault> {
    let length = take_i32(bytes, "header key length")?;
    let key = take_bytes(bytes, length, "header key length")?;
    let value = take_nullable(bytes, "header value length")?;
    Ok(HeaderRef { key, value })
}

#[inline]
fn take_nullable<'a>(
    bytes: &mut &'a [u8],
    what: &'static str,
) -> Result<Option<&'a [u8]>, RecordFault> {
    match take_i32(bytes, what)? {
        -1 => Ok(None),
        length => take_bytes(bytes, length, what).map(Some),
    }
}

#[inline]
fn take_bytes<'a>(
    bytes: &mut &'a [u8],
    length: i32,
    what: &'static str,
) -> Result<&'a [u8], RecordFault> {
    let taken = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    match taken {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(taken)
        }
        None => Err(RecordFault::Length { what, found: length, left: bytes.len() }),
    }
}

#[inline]
fn take_i32(bytes: &mut &[u8], what: &'static str) -> Result<i32, RecordFault> {
    varint::take_i32(bytes).ok_or(RecordFault::Number { what })
}
