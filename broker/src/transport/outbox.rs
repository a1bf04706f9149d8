//! What waits to be written to one socket: chunks, gathered into vectored writes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

/// How many chunks go out in one write; the kernel takes 1,024, and more than 64 gains nothing.
const CHUNKS_MAX: usize = 64;

/// Chunks in the order in which they leave. Its owner bounds it: it takes no request while too much waits.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    /// Adds the chunks of one answer.
    pub(crate) fn push(&mut self, chunks: Vec<Bytes>) {
        self.bytes += chunks.iter().map(Bytes::len).sum::<usize>();
        self.chunks.extend(chunks);
    }

    /// How many bytes wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Writes what the socket takes now, or waits until it takes something; says how many bytes went. Dropping
    /// the future loses nothing: what was written is taken off before the future ends.
    pub(crate) async fn write_some(&mut self, stream: &TcpStream) -> io::Result<usize> {
        loop {
            match self.try_write(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await?;
                }
                outcome => return outcome,
            }
        }
    }

    fn try_write(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); CHUNKS_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let written = stream.try_write_vectored(slices.get(..count).unwrap_or_default())?;
        if written == 0 && !self.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(written)
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(chunk) = self.chunks.front_mut() {
            if written < chunk.len() {
                chunk.advance(written);
                break;
            }
            written -= chunk.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_taken_off_across_chunks() {
        let mut outbox = Outbox::default();
        outbox.push(vec![Bytes::from_static(b"abc"), Bytes::from_static(b"defg")]);
        outbox.push(vec![Bytes::from_static(b"hi")]);
        outbox.advance(5);
        assert_eq!(outbox.chunks, [Bytes::from_static(b"fg"), Bytes::from_static(b"hi")]);
        assert_eq!(outbox.bytes(), 4);
        outbox.advance(4);
        assert!(outbox.is_empty());
    }
}
