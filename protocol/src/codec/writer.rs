//! Puts values behind each other; large byte ranges are gathered, not copied.

use bytes::{BufMut, Bytes, BytesMut};

/// Byte ranges from this size on are shared instead of copied: below it, one more chunk for the
/// vectored write costs more than the copy.
const SHARE_BYTES_MIN: usize = 1024;

/// What a [`Writer`] has gathered: chunks that go to the socket in one vectored write.
pub type Chunks = Vec<Bytes>;

/// The `u32` that a framed writer leaves room for, in bytes.
const LENGTH_BYTES: usize = 4;

/// Room that a framed writer begins with, in bytes: enough for most messages without their records.
const FRAME_BYTES: usize = 256;

/// Writes values in network order into a list of chunks.
#[derive(Debug, Default)]
pub struct Writer {
    /// A framed writer's first chunk, kept apart while more follow: the length is written last, and what
    /// is frozen cannot be changed. Its place in `chunks` is held by an empty chunk.
    head: BytesMut,
    framed: bool,
    chunks: Chunks,
    tail: BytesMut,
    /// The bytes in `chunks`; those in `tail` come on top.
    chunk_bytes: usize,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` copied bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { tail: BytesMut::with_capacity(capacity), ..Self::default() }
    }

    /// A writer whose first four bytes become the length of all that follows them.
    pub fn framed() -> Self {
        let mut writer = Self { framed: true, ..Self::with_capacity(FRAME_BYTES) };
        writer.u32(0);
        writer
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Writes a `u8`.
    pub fn u8(&mut self, value: u8) {
        self.tail.put_u8(value);
    }

    /// Writes a big-endian `u16`.
    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    /// Writes a big-endian `u32`.
    pub fn u32(&mut self, value: u32) {
        self.tail.put_u32(value);
    }

    /// Writes a big-endian `u64`.
    pub fn u64(&mut self, value: u64) {
        self.tail.put_u64(value);
    }

    /// Writes a `u32` length and the bytes; large ones are shared, not copied.
    pub fn bytes(&mut self, bytes: &Bytes) {
        self.count(bytes.len());
        self.share(bytes);
    }

    /// Writes the bytes without a length; large ones are shared, not copied.
    pub fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_BYTES_MIN {
            self.put(bytes);
        } else {
            self.cut();
            self.chunk_bytes += bytes.len();
            self.chunks.push(bytes.clone());
        }
    }

    /// Writes a `u16` length and the text; what lies beyond 65,535 bytes is left out, at a character's edge.
    pub fn text(&mut self, text: &str) {
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        self.u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        self.put(text.as_bytes());
    }

    /// Writes a `u32` count.
    ///
    /// # Panics
    /// When `count` passes `u32::MAX`: a frame cannot hold so many elements.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("a frame holds fewer than 2^32 elements"));
    }

    /// The chunks, in order; none of them is empty.
    ///
    /// # Panics
    /// When the length of a framed writer passes `u32::MAX`.
    pub fn finish(mut self) -> Chunks {
        if self.framed {
            let length = u32::try_from(self.len() - LENGTH_BYTES).expect("a frame is below 4 GiB");
            let first = if self.chunks.is_empty() { &mut self.tail } else { &mut self.head };
            first[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        }
        if !self.tail.is_empty() {
            self.chunks.push(self.tail.freeze());
        }
        if let (Some(place), false) = (self.chunks.first_mut(), self.head.is_empty()) {
            *place = self.head.freeze();
        }
        self.chunks
    }

    /// Everything in one piece; copies when there is more than one chunk.
    pub fn into_bytes(self) -> Bytes {
        let mut chunks = self.finish();
        match chunks.len() {
            0 => Bytes::new(),
            1 => chunks.remove(0),
            _ => chunks.concat().into(),
        }
    }

    /// Makes a chunk of what was copied so far.
    fn cut(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        self.chunk_bytes += self.tail.len();
        let chunk = self.tail.split();
        if self.framed && self.chunks.is_empty() {
            self.head = chunk;
            self.chunks.push(Bytes::new());
        } else {
            self.chunks.push(chunk.freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ranges_are_shared_and_small_ones_copied() {
        let large = Bytes::from(vec![7; SHARE_BYTES_MIN]);
        let mut writer = Writer::new();
        writer.u16(1);
        writer.bytes(&large);
        writer.bytes(&Bytes::from_static(b"ab"));
        assert_eq!(writer.len(), 2 + 4 + SHARE_BYTES_MIN + 4 + 2);
        let chunks = writer.finish();
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let mut writer = Writer::new();
        writer.text(&"ä".repeat(40_000));
        assert_eq!(writer.len(), 2 + 65_534);
    }

    #[test]
    fn a_framed_writer_writes_the_length_of_what_follows() {
        let large = Bytes::from(vec![7; SHARE_BYTES_MIN]);
        let mut writer = Writer::framed();
        writer.u16(1);
        assert_eq!(writer.len(), 4 + 2);
        writer.share(&large);
        writer.share(&large);
        writer.u8(9);
        let chunks = writer.finish();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [6, 1024, 1024, 1]);
        assert_eq!(chunks[0][..], [0, 0, 0x08, 0x03, 0, 1]);
        assert_eq!(Writer::framed().into_bytes()[..], [0; 4]);
    }
}
