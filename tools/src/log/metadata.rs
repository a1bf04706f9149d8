//! The metadata log and its snapshot: entries with their checksums, records by kind.

/// Magic, format, two zero bytes, base index, CRC-32.
const LOG_HEAD_BYTES: usize = 24;

/// Magic, format, two zero bytes, index, term, number of records.
const SNAPSHOT_HEAD_BYTES: usize = 32;

/// Names of record kinds, from 1.
const KINDS: [&str; 12] = [
    "ClusterCreated",
    "BrokerRegistered",
    "BrokerFenceChanged",
    "DirectoryRegistered",
    "LeaderEpochsRaised",
    "TopicCreated",
    "PartitionsAdded",
    "TopicConfigChanged",
    "TopicDeleted",
    "PartitionChanged",
    "DirectoryAssigned",
    "ProducerIdsReserved",
];

/// One entry, or a whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The byte at which it begins.
    pub(super) position: usize,
    pub(super) index: u64,
    pub(super) term: u64,
    /// The kinds of its records, in order.
    pub(super) records: Vec<String>,
}

/// What a file holds, and what is wrong with the bytes behind the last good entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) entries: Vec<Entry>,
    pub(super) trouble: Option<(usize, String)>,
}

/// Takes big-endian numbers off the front.
struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number(4)?).ok()
    }

    /// The kinds of so many records.
    fn records(&mut self, count: usize) -> Option<Vec<String>> {
        let mut kinds = Vec::new();
        for _ in 0..count {
            let (kind, version, length) = (self.number(2)?, self.number(2)?, self.count()?);
            self.take(length)?;
            let place = usize::try_from(kind).ok()?.checked_sub(1);
            let name = place.and_then(|place| KINDS.get(place));
            kinds.push(name.map_or_else(
                || format!("unknown kind {kind} version {version}"),
                |name| (*name).to_owned(),
            ));
        }
        Some(kinds)
    }
}

/// The entries of a metadata log.
pub(super) fn log(bytes: &[u8]) -> Content {
    let mut content = Content::default();
    if let Err(reason) = log_head(bytes) {
        content.trouble = Some((0, reason));
        return content;
    }
    let mut position = LOG_HEAD_BYTES;
    while position < bytes.len() {
        match entry(bytes.get(position..).unwrap_or_default(), position) {
            Ok((entry, length)) => {
                content.entries.push(entry);
                position += length;
            }
            Err(reason) => {
                content.trouble = Some((position, reason.to_owned()));
                break;
            }
        }
    }
    content
}

fn log_head(bytes: &[u8]) -> Result<(), String> {
    let head = bytes.get(..LOG_HEAD_BYTES).ok_or("the head is cut")?;
    let (covered, crc) = head.split_at(LOG_HEAD_BYTES - 4);
    if crc != crc32fast::hash(covered).to_be_bytes() {
        return Err("the head's checksum is wrong".to_owned());
    }
    Ok(())
}

/// One entry and its length.
fn entry(bytes: &[u8], position: usize) -> Result<(Entry, usize), &'static str> {
    let mut head = Cursor { left: bytes };
    let (length, crc) = head.count().zip(head.number(4)).ok_or("the entry's head is cut")?;
    let body = head.take(length).ok_or("the entry is cut")?;
    if u64::from(crc32fast::hash(body)) != crc {
        return Err("the entry's checksum is wrong");
    }
    let mut body = Cursor { left: body };
    let mut fields = || Some((body.number(8)?, body.number(8)?, body.count()?));
    let (index, term, count) = fields().ok_or("the entry has no index")?;
    let records = body.records(count).ok_or("the entry's records are cut")?;
    Ok((Entry { position, index, term, records }, 8 + length))
}

/// Whether a good entry follows bad bytes: then these were synced once, and are no torn tail.
pub(super) fn goes_on_behind(bytes: &[u8], position: usize) -> bool {
    (position + 1..bytes.len()).any(|at| entry(bytes.get(at..).unwrap_or_default(), at).is_ok())
}

/// A snapshot, as one entry.
pub(super) fn snapshot(bytes: &[u8]) -> Content {
    match whole(bytes) {
        Ok(entry) => Content { entries: vec![entry], trouble: None },
        Err(reason) => Content { entries: Vec::new(), trouble: Some((0, reason.to_owned())) },
    }
}

fn whole(bytes: &[u8]) -> Result<Entry, &'static str> {
    let (covered, crc) = bytes.split_last_chunk::<4>().ok_or("the file is cut")?;
    if *crc != crc32fast::hash(covered).to_be_bytes() {
        return Err("the file's checksum is wrong");
    }
    let mut cursor = Cursor { left: covered };
    let mut head = || {
        cursor.take(12)?;
        Some((cursor.number(8)?, cursor.number(8)?, cursor.count()?))
    };
    let (index, term, count) = head().ok_or("the head is cut")?;
    let records = cursor.records(count).ok_or("the records are cut")?;
    Ok(Entry { position: SNAPSHOT_HEAD_BYTES, index, term, records })
}
