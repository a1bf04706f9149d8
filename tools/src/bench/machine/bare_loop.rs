//! The bare produce loop: the least that a broker can do. A client encodes records into batches and sends them, several
//! under way; a server takes each from the socket, checks its CRC-32C, writes it to a file and answers.
//!
//! Client and server are threads of this process: one of each for a connection, with nothing between them but the
//! kernel. The batches are made by the client library's own encoder.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use thalweg_client::{Compression, TimestampMs};
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, NO_HEADERS, verify_checksum};

use super::super::number::wide;
use super::super::payload::{Cursor, Payload};
use super::segments::Segments;
use crate::clock::Started;

/// Batches under way on one connection.
const PIPELINE: usize = 8;

/// The server reads at least so much at once, if it is there.
const READ_BYTES: usize = 1024 * 1024;

/// An answer: the position behind the batch.
const ANSWER_BYTES: usize = 8;

/// All records have the same timestamp.
const NOW: TimestampMs = TimestampMs::new(1);

/// What the loop does.
#[derive(Clone, Copy, Debug)]
pub(super) struct BareLoop<'a> {
    pub(super) payload: &'a Payload,
    pub(super) record_bytes: usize,
    pub(super) batch_bytes: usize,
    pub(super) compression: Compression,
    pub(super) connections: u64,
    /// Bytes of values, all connections together.
    pub(super) bytes: u64,
    /// All connections together keep about so much of what they wrote.
    pub(super) kept_bytes: u64,
    /// It ends earlier when the time is over.
    pub(super) time_max: Duration,
    pub(super) folder: &'a Path,
}

/// What it reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looped {
    pub(super) records: u64,
    pub(super) time: Duration,
}

impl BareLoop<'_> {
    /// Runs it.
    pub(super) fn run(self) -> io::Result<Looped> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let bytes = (self.bytes / self.connections).max(1);
        // Record overhead and headers come on top of the values.
        let stored_bytes = bytes.saturating_mul(2).max(READ_BYTES as u64);
        thread::scope(|scope| {
            let mut servers = Vec::new();
            let mut clients = Vec::new();
            for index in 0..self.connections {
                let client = TcpStream::connect(address)?;
                let (server, _) = listener.accept()?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                let kept = self.kept_bytes / self.connections;
                let segments =
                    Segments::new(self.folder, &format!("bare-{index}"), stored_bytes, kept)?;
                let frame_bytes_max = self.batch_bytes + READ_BYTES;
                servers.push(scope.spawn(move || serve(server, segments, frame_bytes_max)));
                clients.push((client, self.payload.cursor(usize::try_from(index).unwrap_or(0))));
            }
            let started = Started::now();
            let sending = clients.into_iter().map(|(stream, cursor)| {
                scope.spawn(move || self.send(&stream, cursor, bytes, started))
            });
            let sending: Vec<_> = sending.collect();
            let mut records = 0;
            for client in sending {
                records += joined(client.join())?;
            }
            let time = started.elapsed();
            for server in servers {
                joined(server.join())?;
            }
            Ok(Looped { records, time })
        })
    }

    /// The client's side of one connection; answers how many records were acknowledged.
    fn send(
        &self,
        mut stream: &TcpStream,
        mut cursor: Cursor,
        bytes: u64,
        started: Started,
    ) -> io::Result<u64> {
        let mut builder = BatchBuilder::new(self.compression, self.batch_bytes);
        let mut answers = Answers::default();
        let mut records = 0;
        let record_bytes = wide(self.record_bytes);
        // One batch goes in any case: on a busy machine this thread may begin when the time is over.
        let goes_on = |records: u64| {
            records == 0 || records * record_bytes < bytes && started.elapsed() < self.time_max
        };
        while goes_on(records) {
            let left = (bytes - records * record_bytes).div_ceil(record_bytes);
            records += fill(&mut builder, &mut cursor, left);
            let batch = builder.build_unsequenced();
            let length = u32::try_from(batch.len()).unwrap_or(u32::MAX).to_be_bytes();
            write_both(stream, &length, &batch)?;
            answers.expected += 1;
            if answers.expected >= wide(PIPELINE) {
                answers.take(stream)?;
            }
        }
        while answers.expected > 0 {
            answers.take(stream)?;
        }
        // An empty frame says that nothing follows.
        stream.write_all(&[0; 4])?;
        Ok(records)
    }
}

fn joined<T>(result: thread::Result<io::Result<T>>) -> io::Result<T> {
    result.unwrap_or_else(|_| Err(io::Error::other("a thread of the bare loop panicked")))
}

/// Puts records into a batch until it is full, or `left` are in it.
fn fill(builder: &mut BatchBuilder, cursor: &mut Cursor, left: u64) -> u64 {
    let mut added = 0;
    while added < left {
        if builder.try_append(NOW, None, Some(cursor.next()), NO_HEADERS).is_none() {
            break;
        }
        added += 1;
    }
    added
}

/// Both with one call of the system, if it takes them.
fn write_both(mut stream: &TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
    let body_from = written.saturating_sub(head.len());
    stream.write_all(head.get(written..).unwrap_or_default())?;
    stream.write_all(body.get(body_from..).unwrap_or_default())
}

/// Answers that are still to come, and the bytes of one that came in part.
#[derive(Debug, Default)]
struct Answers {
    expected: u64,
    part_bytes: usize,
}

impl Answers {
    /// Waits for some answers.
    fn take(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        let mut buffer = [0; ANSWER_BYTES * PIPELINE];
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.part_bytes += read;
        self.expected = self.expected.saturating_sub(wide(self.part_bytes / ANSWER_BYTES));
        self.part_bytes %= ANSWER_BYTES;
        Ok(())
    }
}

/// The server's side of one connection.
fn serve(mut stream: TcpStream, mut segments: Segments, frame_bytes_max: usize) -> io::Result<()> {
    let mut buffer = vec![0; frame_bytes_max + READ_BYTES];
    let (mut from, mut to) = (0, 0);
    let mut position = 0;
    loop {
        while let Some(frame) = frame(buffer.get(from..to).unwrap_or_default())? {
            if frame.is_empty() {
                return Ok(());
            }
            check(frame)?;
            segments.append(frame)?;
            position += wide(frame.len());
            stream.write_all(&position.to_be_bytes())?;
            from += 4 + frame.len();
        }
        // What came of the next frame moves to the front when there is no room behind it.
        if buffer.len() - to < READ_BYTES || from == to {
            buffer.copy_within(from..to, 0);
            (from, to) = (0, to - from);
        }
        let read = stream.read(buffer.get_mut(to..).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to += read;
    }
}

/// The whole frame at the front, without its length.
fn frame(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
    Ok(rest.get(..length))
}

fn check(batch: &[u8]) -> io::Result<()> {
    let header = BatchHeader::decode(batch).map_err(io::Error::other)?;
    verify_checksum(&header, batch).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::super::super::payload::Kind;
    use super::*;

    fn looped(
        (record_bytes, batch_bytes, connections): (usize, usize, u64),
        time_max: Duration,
        check_files: impl FnOnce(&Path),
    ) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let payload = Payload::new(&Kind::Random, record_bytes).unwrap();
        let looped = BareLoop {
            payload: &payload,
            record_bytes,
            batch_bytes,
            compression: Compression::None,
            connections,
            bytes: wide(record_bytes) * 6_000,
            kept_bytes: u64::MAX,
            time_max,
            folder: folder.path(),
        };
        let looped = looped.run().unwrap();
        check_files(folder.path());
        looped.records
    }

    #[test]
    fn all_records_arrive_whatever_the_batches_and_connections() {
        for shape in [(100, 16 * 1024, 1), (1_024, 1024 * 1024, 2), (3_000, 64 * 1024, 3)] {
            let records = looped(shape, Duration::from_mins(1), |folder| {
                let stored = std::fs::read_dir(folder).unwrap();
                let stored: u64 =
                    stored.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
                assert!(stored > 6_000 * wide(shape.0), "{stored}");
            });
            assert_eq!(records, 6_000);
        }
    }

    /// On a busy machine the client's thread began after the 20 ms that it had, and the loop reached nothing.
    #[test]
    fn a_loop_whose_time_is_over_when_it_begins_sends_one_batch_all_the_same() {
        let records = looped((1_000, 16 * 1024, 1), Duration::ZERO, |_| {});
        assert!(records > 0 && records <= 16, "{records}");
    }
}
