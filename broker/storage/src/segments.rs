//! Which segment holds an offset.

use std::sync::Arc;

use thalweg_protocol::Offset;

use crate::segment::Segment;

/// The segments of a log, oldest first; the last one is the active one. Exchanged as a whole, so that a reader
/// keeps a list that fits together.
///
/// Invariants: never empty in an open log; base offsets rise strictly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    list: Vec<Arc<Segment>>,
}

impl Segments {
    /// These segments, oldest first.
    pub(crate) fn new(list: Vec<Arc<Segment>>) -> Self {
        let rising = list.windows(2).all(
            |pair| matches!(pair, [earlier, later] if earlier.base_offset() < later.base_offset()),
        );
        assert!(rising, "segments must rise by base offset");
        Self { list }
    }

    /// All of them, oldest first.
    pub(crate) fn as_slice(&self) -> &[Arc<Segment>] {
        &self.list
    }

    /// Where in the list the segment is that holds `offset`, if any can.
    pub(crate) fn place_of(&self, offset: Offset) -> Option<usize> {
        self.list.partition_point(|segment| segment.base_offset() <= offset).checked_sub(1)
    }

    /// The segment at `place`.
    pub(crate) fn get(&self, place: usize) -> Option<&Arc<Segment>> {
        self.list.get(place)
    }

    /// The offset at which the segment at `place` ends and the next begins; `log_end` for the last one.
    pub(crate) fn end_of(&self, place: usize, log_end: Offset) -> Offset {
        self.list.get(place + 1).map_or(log_end, |next| next.base_offset())
    }

    /// The newest one.
    pub(crate) fn active(&self) -> Option<&Arc<Segment>> {
        self.list.last()
    }

    /// Bytes of all segments that readers can see.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.iter().map(|segment| segment.visible()).sum()
    }
}
