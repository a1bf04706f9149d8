//! Buffers of earlier frames, to be filled again once nobody holds those frames.
//!
//! Memory that was used a moment ago is in the processor's caches, and the kernel need not clear it.

use std::collections::VecDeque;

use bytes::BytesMut;

/// So many are kept: one is filled while one is read, and one waits in between.
const BUFFERS_MAX: usize = 4;

/// The newest last.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: VecDeque<BytesMut>,
}

impl Spares {
    /// Keeps the rest of a buffer that a frame was cut from; lets go of the oldest when there are too many.
    pub(super) fn keep(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if self.buffers.len() == BUFFERS_MAX {
            self.buffers.pop_front();
        }
        self.buffers.push_back(buffer);
    }

    /// One with room for `bytes` whose frames are all gone; the newest, if there are several.
    pub(super) fn take(&mut self, bytes: usize) -> Option<BytesMut> {
        let place = self.buffers.iter_mut().rposition(|buffer| buffer.try_reclaim(bytes))?;
        self.buffers.remove(place)
    }

    /// Lets go of one: less is needed now.
    pub(super) fn shrink(&mut self) {
        self.buffers.pop_front();
    }

    pub(super) fn clear(&mut self) {
        self.buffers = VecDeque::new();
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.buffers.len()
    }
}
