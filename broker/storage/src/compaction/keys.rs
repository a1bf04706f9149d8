//! The keys of a pass: read from the log, as many as fit into memory.

use std::ops::ControlFlow;

use thalweg_protocol::Offset;

use super::error::CompactionError;
use super::key_map::KeyMap;
use super::rewrite::Rewrite;
use super::source::Source;
use crate::find::Lookup;
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::segments::Segments;
use crate::visit::visit;

/// The keys of the records from `from` on, and the offset up to which they fit.
pub(super) fn map_keys(
    reader: &LogReader,
    segments: &Segments,
    memory_bytes_max: usize,
    (from, end): (Offset, Offset),
    pace: &mut dyn FnMut(u64) -> bool,
) -> Result<(KeyMap, Offset), CompactionError> {
    let mut records = 0;
    visit(segments, from, end, |_, found| {
        if found.header.base_offset >= end {
            return ControlFlow::Break(());
        }
        records += u64::try_from(found.header.record_count).unwrap_or(0);
        ControlFlow::Continue(())
    })
    .map_err(|error| CompactionError::io("read", reader.folder(), error))?;
    let mut keys = KeyMap::new(records, memory_bytes_max);
    let first = segments.place_of(from).unwrap_or(0);
    for segment in segments.as_slice().iter().skip(first) {
        if segment.base_offset() >= end {
            break;
        }
        let mut source = Source::open(segment)?;
        go_to(&mut source, segment, from, end)?;
        if let Some(full) = put_keys(&mut source, from, &mut keys, pace)? {
            return Ok((keys, full));
        }
    }
    Ok((keys, end))
}

/// Puts the keys of one segment into the map; answers the offset of the first record that did not fit.
fn put_keys(
    source: &mut Source,
    from: Offset,
    keys: &mut KeyMap,
    pace: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Offset>, CompactionError> {
    let mut rewrite = Rewrite::default();
    while let Some(batch) = source.next()? {
        let bytes = u64::try_from(batch.header.total_bytes()).unwrap_or(u64::MAX);
        if let Some(records) = rewrite.records(&batch, source)? {
            for record in &records {
                let record = record.map_err(|it| source.corrupt(&it))?;
                let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
                if !keys.put(key, record.offset) {
                    return Ok(Some(record.offset));
                }
            }
        }
        if !pace(bytes) {
            return Err(CompactionError::Stopped);
        }
    }
    Ok(None)
}

/// Goes near the batch that holds `from`, if it lies in the segment.
fn go_to(
    source: &mut Source,
    segment: &Segment,
    from: Offset,
    end: Offset,
) -> Result<(), CompactionError> {
    if from <= segment.base_offset() {
        return Ok(());
    }
    let look = || {
        let file = segment.file()?;
        Ok(match segment.find(&*file, from, segment.visible(), end)? {
            Lookup::Batch(found, _) => Some(found),
            Lookup::End | Lookup::Bad(_) => None,
        })
    };
    let found = look().map_err(|error| CompactionError::io("read", &segment.log_path(), error))?;
    if let Some(found) = found {
        source.skip_to(&found);
    }
    Ok(())
}
