//! Cuts a stream of bytes into frames (a `u32` length, then so many bytes), and puts frames together.
//!
//! Owns the reading side's buffer and its limit, the length prefix on the writing side, and the look at
//! a connection's first bytes. Never reads a socket: callers read into [`FrameReader::buffer`].
//! Invariants: a length above the limit is refused before room is made for it; room is made at most
//! [`GROWTH_BYTES_MAX`] ahead of the bytes that arrived.
//!
//! ```
//! use thalweg_protocol::frame::FrameReader;
//!
//! let mut frames = FrameReader::new(1024);
//! frames.buffer().extend_from_slice(&[0, 0, 0, 2, b'h', b'i', 0, 0]);
//! assert_eq!(frames.next_frame().unwrap().as_deref(), Some(&b"hi"[..]));
//! assert_eq!(frames.next_frame().unwrap(), None);
//! assert_eq!(frames.buffered_bytes(), 2);
//! ```

mod spare;

use bytes::{Bytes, BytesMut};

use self::spare::Spares;
use crate::codec::{Chunks, DecodeError, Reader, Writer};
use crate::native::{PREFACE, RequestHeader, ResponseHeader, Wire};

/// The length prefix, in bytes.
pub const LENGTH_BYTES: usize = 4;

/// The largest frame before the handshake, in bytes after the length: strangers get no more memory.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024;

/// Room for all that may arrive before the handshake is done: one piece of memory that never grows.
const FIRST_ROOM_BYTES: usize = HANDSHAKE_BYTES_MAX + PREFACE.len() + LENGTH_BYTES;

/// Room for one read of a socket while no large frame is announced, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// How far ahead of the bytes that arrived room is made for a large frame, in bytes.
pub const GROWTH_BYTES_MAX: usize = 1024 * 1024;

/// Why a stream of bytes cannot be cut into frames; the connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The next frame is larger than the limit.
    #[error("frame of {length} bytes announced, at most {bytes_max} are taken")]
    TooLarge {
        /// The announced length, in bytes after the length itself.
        length: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// How much room is made at once for a frame that a trusted peer announces, in bytes.
const WHOLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Room for whole frames is made in steps of this size: the next frame is hardly ever just as large.
const WHOLE_STEP_BYTES: usize = 512 * 1024;

/// Room in the buffer: less than `enough_bytes` is made up to `wanted_bytes`.
struct Room {
    enough_bytes: usize,
    wanted_bytes: usize,
}

/// Cuts the bytes of one connection into frames; the frames share the buffer, nothing is copied.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    bytes_max: usize,
    /// Of one that trusts its peer.
    spares: Option<Spares>,
    /// The buffer was made for a whole large frame.
    is_large: bool,
}

impl FrameReader {
    /// Takes frames of at most `bytes_max` bytes after the length. Holds no memory yet.
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), bytes_max, spares: None, is_large: false }
    }

    /// The same for a peer that is trusted to send what it announces: room for a large frame is made at once, in the
    /// memory of an earlier one if nobody holds that any more.
    #[must_use]
    pub fn trusting(self) -> Self {
        Self { spares: Some(Spares::default()), ..self }
    }

    /// Moves the limit: [`HANDSHAKE_BYTES_MAX`] before the handshake, the configured one after it.
    pub const fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The largest frame that is taken, in bytes after the length.
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Where to append what the socket has; there is room for a read of useful size.
    ///
    /// Take all whole frames with [`Self::next_frame`] first: a frame that waits in the buffer is room lost.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.make_whole_room();
        let room = self.room();
        if self.buffer.capacity() - self.buffer.len() < room.enough_bytes {
            self.buffer.reserve(room.wanted_bytes);
            self.is_large = self.buffer.capacity() > GROWTH_BYTES_MAX;
            if let Some(spares) = &mut self.spares {
                spares.shrink();
            }
        }
        &mut self.buffer
    }

    /// Makes room for the rest of a large frame, if its sender is trusted.
    fn make_whole_room(&mut self) {
        let missing_bytes = self.announced().map_or(0, |length| self.missing_bytes(length));
        let whole_bytes = self.buffer.len() + missing_bytes;
        let fits = self.buffer.capacity() >= whole_bytes;
        let Some(spares) = &mut self.spares else {
            return;
        };
        if fits || missing_bytes <= READ_BYTES || whole_bytes > WHOLE_BYTES_MAX {
            return;
        }
        let made = || BytesMut::with_capacity(whole_bytes.next_multiple_of(WHOLE_STEP_BYTES));
        let mut room = spares.take(whole_bytes).unwrap_or_else(made);
        room.extend_from_slice(&self.buffer);
        let used = std::mem::replace(&mut self.buffer, room);
        if std::mem::replace(&mut self.is_large, true) {
            spares.keep(used);
        }
    }

    /// How much room the next read should find.
    fn room(&self) -> Room {
        let read_bytes = self.bytes_max.clamp(FIRST_ROOM_BYTES, READ_BYTES);
        match self.announced().map(|length| self.missing_bytes(length)) {
            Some(missing_bytes @ 1..) => Room {
                enough_bytes: missing_bytes.min(read_bytes),
                wanted_bytes: missing_bytes.min(GROWTH_BYTES_MAX),
            },
            // The last quarter of a chunk is used up before the next is made: the start of a frame that
            // moves to the next chunk is copied.
            _ => Room { enough_bytes: read_bytes / 4, wanted_bytes: read_bytes },
        }
    }

    /// How many bytes of a frame with this length have not arrived; none of one above the limit.
    fn missing_bytes(&self, length: usize) -> usize {
        if length > self.bytes_max {
            return 0;
        }
        (LENGTH_BYTES + length).saturating_sub(self.buffer.len())
    }

    /// The next whole frame without its length; none when its bytes have not all arrived.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.announced() else {
            return Ok(None);
        };
        if length > self.bytes_max {
            return Err(FrameError::TooLarge { length, bytes_max: self.bytes_max });
        }
        if self.buffer.len() - LENGTH_BYTES < length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(LENGTH_BYTES + length);
        Ok(Some(frame.split_off(LENGTH_BYTES).freeze()))
    }

    /// Drops the next `count` bytes, such as a preface; they must be there.
    pub fn skip(&mut self, count: usize) {
        drop(self.buffer.split_to(count));
    }

    /// What has arrived and was not taken yet.
    pub fn peek(&self) -> &[u8] {
        &self.buffer
    }

    /// How many bytes have arrived that were not taken yet.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The size of the frame whose length has arrived, in bytes after the length; 0 while none has. A caller may
    /// hold back its reads until it has memory for it.
    pub fn announced_bytes(&self) -> usize {
        self.announced().unwrap_or(0)
    }

    /// Gives memory back, keeping what has arrived: for a connection that has fallen silent.
    pub fn release(&mut self) {
        if let Some(spares) = &mut self.spares {
            spares.clear();
        }
        self.is_large = false;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        } else if self.buffer.len() < self.buffer.capacity() / 4 {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// The length of the next frame, when its four bytes are there.
    fn announced(&self) -> Option<usize> {
        let length = self.buffer.first_chunk::<LENGTH_BYTES>()?;
        // On a machine whose words are too short for it the frame is too large anyway.
        Some(usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX))
    }
}

/// A frame of what `encode` writes, with its length before it; large byte ranges are shared, not copied.
pub fn frame(encode: impl FnOnce(&mut Writer)) -> Chunks {
    let mut writer = Writer::framed();
    encode(&mut writer);
    writer.finish()
}

/// The frame of one request.
pub fn request_frame<T: Wire>(header: &RequestHeader, body: &T) -> Chunks {
    frame(|writer| {
        header.encode(writer);
        body.encode(writer);
    })
}

/// The frame of one answer; one that carries an error in its header has no body.
pub fn response_frame<T: Wire>(header: &ResponseHeader, body: Option<&T>) -> Chunks {
    debug_assert_eq!(header.error.is_none(), body.is_some(), "a body or an error, never both");
    frame(|writer| {
        header.encode(writer);
        if let Some(body) = body {
            body.encode(writer);
        }
    })
}

/// The frame of an answer that consists of an error.
pub fn error_frame(header: &ResponseHeader) -> Chunks {
    debug_assert!(header.error.is_some(), "an answer without a body carries an error");
    frame(|writer| header.encode(writer))
}

/// The header of the request in `frame`; its body is left in the reader for [`decode_body`].
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Reader), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader, "request header")?;
    Ok((header, reader))
}

/// The header of the answer in `frame`; its body, if it has no error, is left in the reader for
/// [`decode_body`].
pub fn decode_response_header(frame: Bytes) -> Result<(ResponseHeader, Reader), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, "response header")?;
    Ok((header, reader))
}

/// The body that takes all that is left in `reader`.
pub fn decode_body<T: Wire>(mut reader: Reader) -> Result<T, DecodeError> {
    let path = std::any::type_name::<T>();
    let what = path.rsplit("::").next().unwrap_or(path);
    let body = T::decode(&mut reader, what)?;
    reader.finish(what)?;
    Ok(body)
}

/// Which protocol a connection speaks, as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The native protocol; [`PREFACE`]'s bytes are to be skipped.
    Native {
        /// Its major version; the one in [`PREFACE`] is what this release speaks.
        version: u16,
    },
    /// Kafka's: the bytes are the length of a first request.
    Kafka,
    /// Neither; HTTP and TLS end here.
    Unknown {
        /// The first bytes, for the log.
        first: [u8; 4],
    },
    /// Too few bytes have arrived to tell.
    NotYet,
}

impl Door {
    /// The largest first request that is taken for Kafka's, in bytes: 100 MiB, Kafka's own limit.
    const KAFKA_BYTES_MAX: u32 = 100 * 1024 * 1024;

    /// Looks at all bytes that have arrived on a connection so far.
    pub fn detect(arrived: &[u8]) -> Self {
        let Some((&first, rest)) = arrived.split_first_chunk::<4>() else {
            return Self::NotYet;
        };
        if PREFACE.starts_with(&first) {
            return match rest.first_chunk::<2>() {
                Some(version) => Self::Native { version: u16::from_be_bytes(*version) },
                None => Self::NotYet,
            };
        }
        match u32::from_be_bytes(first) {
            1..=Self::KAFKA_BYTES_MAX => Self::Kafka,
            _ => Self::Unknown { first },
        }
    }
}

#[cfg(test)]
mod tests;
