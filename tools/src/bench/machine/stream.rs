//! The loopback stream: how fast bytes from a buffer reach a reader who does nothing with them.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::number::wide;
use crate::clock::Started;

/// As much as one write and one read carry.
const PIECE_BYTES: usize = 1024 * 1024;

/// Streams `bytes` over each of the connections for at most `time_max`; answers the bytes read and the time.
pub(super) fn stream(
    connections: u64,
    bytes: u64,
    time_max: Duration,
) -> io::Result<(u64, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let started = Started::now();
        let mut readers = Vec::new();
        for _ in 0..connections {
            let writer = TcpStream::connect(address)?;
            let (reader, _) = listener.accept()?;
            scope.spawn(move || write(writer, bytes, started, time_max));
            readers.push(scope.spawn(move || read(reader)));
        }
        let mut read = 0;
        for reader in readers {
            read += reader.join().unwrap_or_else(|_| Err(io::Error::other("a reader panicked")))?;
        }
        Ok((read, started.elapsed()))
    })
}

fn write(mut stream: TcpStream, bytes: u64, started: Started, time_max: Duration) {
    let piece = vec![b'x'; PIECE_BYTES];
    let mut written = 0;
    // One piece goes in any case: on a busy machine this thread may begin when the time is over.
    let goes_on = |written| written == 0 || written < bytes && started.elapsed() < time_max;
    // The reader tells what arrived.
    while goes_on(written) && stream.write_all(&piece).is_ok() {
        written += wide(PIECE_BYTES);
    }
}

fn read(mut stream: TcpStream) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes += wide(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As with the bare loop: on a busy machine a writer may begin when its time is over.
    #[test]
    fn a_stream_whose_time_is_over_when_it_begins_carries_one_piece_all_the_same() {
        let (read, _) = stream(2, 1 << 30, Duration::ZERO).unwrap();
        assert_eq!(read, 2 * wide(PIECE_BYTES));
    }
}
