//! Where inflated bytes go: a buffer that grows up to a bound and is used again.

/// The first size of the buffer, in bytes.
const FIRST_BYTES: usize = 16 * 1024;

/// Why bytes could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::batch) enum InflateFault {
    /// They inflate to more than the bound.
    Full,
    /// They are not what the codec writes.
    Corrupt(&'static str),
}

/// A reused buffer of which the first `used` bytes are output; never grows past `bytes_max`.
#[derive(Debug, Default)]
pub(in crate::batch) struct Output {
    /// All of it initialised; may be longer than `bytes_max` from an earlier use.
    bytes: Vec<u8>,
    used: usize,
    bytes_max: usize,
}

impl Output {
    /// With room for so many bytes.
    pub(in crate::batch) fn with_room(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], used: 0, bytes_max: bytes }
    }

    /// Starts anew with another bound.
    pub(in crate::batch) fn start(&mut self, bytes_max: usize) {
        self.used = 0;
        self.bytes_max = bytes_max;
    }

    /// What was put out so far.
    pub(in crate::batch) fn written(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// How much memory it holds, in bytes.
    pub(in crate::batch) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many bytes the bound leaves.
    pub(super) fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.used)
    }

    /// Exactly `wanted` bytes to write to, if the bound leaves so many.
    pub(super) fn room(&mut self, wanted: usize) -> Result<&mut [u8], InflateFault> {
        if wanted > self.left() {
            return Err(InflateFault::Full);
        }
        Ok(self.split(wanted).1)
    }

    /// What was written, and the next `wanted` bytes to write to: fewer when the bound leaves fewer.
    pub(super) fn split(&mut self, wanted: usize) -> (&[u8], &mut [u8]) {
        let wanted = wanted.min(self.left());
        self.reserve(wanted);
        let (written, room) = self.bytes.split_at_mut(self.used);
        let end = wanted.min(room.len());
        (written, room.split_at_mut(end).0)
    }

    /// All the room that is there without growing.
    pub(super) fn spare(&mut self) -> &mut [u8] {
        let end = self.bytes.len().min(self.bytes_max);
        self.bytes.get_mut(self.used..end).unwrap_or_default()
    }

    /// Makes more room, twice as much as before; says no when the bound is reached.
    pub(super) fn grow(&mut self) -> bool {
        let before = self.bytes.len().min(self.bytes_max);
        if before == self.bytes_max {
            return false;
        }
        let target = before.saturating_mul(2).clamp(FIRST_BYTES, usize::MAX).min(self.bytes_max);
        self.reserve(target - self.used);
        true
    }

    /// Makes room for `wanted` more bytes, if the bound leaves so many, else up to the bound.
    pub(super) fn reserve(&mut self, wanted: usize) {
        let target = self.used.saturating_add(wanted).min(self.bytes_max);
        if target > self.bytes.len() {
            // Doubling keeps many small blocks cheap; the bound still holds.
            let doubled = self.bytes.len().saturating_mul(2).min(self.bytes_max);
            let length = target.max(doubled);
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
    }

    /// Counts the next `count` bytes of the room as output.
    pub(super) fn advance(&mut self, count: usize) {
        self.used = self.used.saturating_add(count);
        assert!(self.used <= self.bytes.len(), "a codec wrote no more than the room it got");
    }

    /// Puts out a copy of `bytes`.
    pub(in crate::batch) fn put(&mut self, bytes: &[u8]) -> Result<(), InflateFault> {
        self.room(bytes.len())?.copy_from_slice(bytes);
        self.advance(bytes.len());
        Ok(())
    }
}
