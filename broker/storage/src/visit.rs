//! Visiting the headers of all batches from an offset on, across segments and around damage.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_protocol::Offset;

use crate::find::Lookup;
use crate::segment::Segment;
use crate::segments::Segments;
use crate::walk::{Found, Step};

/// Shows `visitor` every batch that ends at or above `from` and begins below `log_end`, in order, until it
/// breaks off. Damaged ranges are left out.
pub(crate) fn visit(
    segments: &Segments,
    from: Offset,
    log_end: Offset,
    mut visitor: impl FnMut(&Arc<Segment>, &Found) -> ControlFlow<()>,
) -> io::Result<()> {
    let first = segments.place_of(from).unwrap_or(0);
    for (place, segment) in segments.as_slice().iter().enumerate().skip(first) {
        let end_offset = segments.end_of(place, log_end);
        if visit_segment(segment, from, end_offset, &mut visitor)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn visit_segment(
    segment: &Arc<Segment>,
    from: Offset,
    end_offset: Offset,
    visitor: &mut impl FnMut(&Arc<Segment>, &Found) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut from = from.max(segment.base_offset());
    let file = segment.file()?;
    let end = segment.visible();
    while from < end_offset {
        let (first, mut walk) = match segment.find(&*file, from, end, end_offset)? {
            Lookup::Batch(first, walk) => (first, walk),
            Lookup::End => break,
            Lookup::Bad(range) => {
                assert!(range.next_good > from, "a damaged range ends behind what lies in it");
                from = range.next_good;
                continue;
            }
        };
        let mut next = Step::Batch(first);
        while let Step::Batch(found) = next {
            if found.header.base_offset >= end_offset {
                return Ok(ControlFlow::Continue(()));
            }
            if visitor(segment, &found).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            next = walk.step()?;
        }
        if matches!(next, Step::End) {
            break;
        }
        let (range, _) = segment.quarantine_at(&walk, end_offset)?;
        from = range.next_good.max(from.next());
    }
    Ok(ControlFlow::Continue(()))
}
