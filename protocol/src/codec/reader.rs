//! Takes values off the front of a shared buffer.

use bytes::{Buf, Bytes};

/// Why bytes could not be read as what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{what}: {needed} bytes needed, {left} left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A count announces more elements than the bytes that follow could hold.
    #[error("{what}: count {count} cannot fit in the {left} bytes that follow")]
    Count {
        /// What was being read.
        what: &'static str,
        /// The announced number of elements.
        count: usize,
        /// How many bytes follow.
        left: usize,
    },
    /// A frame holds more elements, over all of its counts, than anything sensible needs.
    #[error("{what}: count {count} is too large, {left} more elements are taken from this frame")]
    Elements {
        /// What was being read.
        what: &'static str,
        /// The announced number of elements.
        count: usize,
        /// How many elements are still taken.
        left: usize,
    },
    /// A text is not UTF-8.
    #[error("{what}: not UTF-8")]
    Text {
        /// What was being read.
        what: &'static str,
    },
    /// A value is outside of what its field allows.
    #[error("{what}: {found} is not allowed")]
    Value {
        /// What was being read.
        what: &'static str,
        /// The value.
        found: i64,
    },
    /// Bytes are left after the last field.
    #[error("{what}: {left} bytes left over")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
}

/// The most elements that one reader's counts may announce together. An element takes more room in
/// memory than on the wire (an empty text 24 bytes instead of 2), so the bytes of a very large frame
/// alone are no bound.
pub const ELEMENTS_MAX: usize = 4 * 1024 * 1024;

/// A cursor over a shared buffer; byte ranges come out as slices of it, without a copy.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    elements_left: usize,
}

impl Reader {
    /// Reads `bytes` from the front.
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes, elements_left: ELEMENTS_MAX }
    }

    /// The same with a smaller bound on the elements that all counts together may announce.
    #[must_use]
    pub fn with_elements_max(mut self, elements_max: usize) -> Self {
        self.elements_left = self.elements_left.min(elements_max);
        self
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Demands that nothing is left.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { what, left }),
        }
    }

    /// The next `count` bytes, shared with the buffer.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<Bytes, DecodeError> {
        self.need(count, what)?;
        Ok(self.bytes.split_to(count))
    }

    /// The next `N` bytes, copied.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        self.need(N, what)?;
        let mut array = [0; N];
        self.bytes.copy_to_slice(&mut array);
        Ok(array)
    }

    /// A big-endian `u8`.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array(what).map(u8::from_be_bytes)
    }

    /// A big-endian `u16`.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// A big-endian `u32`.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// A big-endian `u64`.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A `u32` length and so many bytes, shared with the buffer.
    pub fn bytes(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.length(what)?;
        self.take(length, what)
    }

    /// A `u16` length and so many bytes of UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let length = usize::from(self.u16(what)?);
        let bytes = self.take(length, what)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::Text { what }),
        }
    }

    /// A `u32` count of elements of at least `element_bytes_min` bytes each; refused when the bytes that
    /// follow cannot hold them, so that a caller may reserve room for the count.
    pub fn count(
        &mut self,
        element_bytes_min: usize,
        what: &'static str,
    ) -> Result<usize, DecodeError> {
        let count = self.length(what)?;
        let left = self.remaining();
        if count > left / element_bytes_min.max(1) {
            return Err(DecodeError::Count { what, count, left });
        }
        match self.elements_left.checked_sub(count) {
            Some(left) => self.elements_left = left,
            None => {
                return Err(DecodeError::Elements { what, count, left: self.elements_left });
            }
        }
        Ok(count)
    }

    fn length(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let length = self.u32(what)?;
        usize::try_from(length).map_err(|_| DecodeError::Value { what, found: i64::from(length) })
    }

    fn need(&self, needed: usize, what: &'static str) -> Result<(), DecodeError> {
        let left = self.remaining();
        if needed > left { Err(DecodeError::Short { what, needed, left }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
