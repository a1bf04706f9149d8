//! The round trip of one record over loopback, with or without a sync before the answer.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::super::latency::Latencies;
use super::super::number::wide;
use super::segments::Segments;
use crate::clock::Started;

/// Round trips that are made at most, and the time that they may take.
const ROUNDS: u64 = 20_000;
const TIME_MAX: Duration = Duration::from_secs(2);

/// The bytes that go there; 8 come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo<'a> {
    pub(super) bytes: usize,
    /// Where each is written and synced before it is answered, if at all.
    pub(super) synced_in: Option<&'a Path>,
}

/// Round trips of so many bytes, each written and synced in `folder` before it is answered.
pub(in super::super) fn synced_echo(folder: &Path, bytes: usize) -> io::Result<Latencies> {
    Echo { bytes, synced_in: Some(folder) }.run()
}

impl Echo<'_> {
    /// Measures round trips.
    pub(super) fn run(self) -> io::Result<Latencies> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let bytes = wide(self.bytes) * ROUNDS;
        let file = self.synced_in.map(|folder| Segments::new(folder, "echo", bytes, bytes));
        let file = file.transpose()?;
        thread::scope(|scope| {
            let serving = scope.spawn(move || serve(server, file, self.bytes));
            let mut latencies = Latencies::new();
            let message = vec![b'x'; self.bytes];
            let mut answer = [0; 8];
            let started = Started::now();
            let mut rounds = 0;
            while rounds < ROUNDS && started.elapsed() < TIME_MAX {
                let sent = Started::now();
                client.write_all(&message)?;
                client.read_exact(&mut answer)?;
                // The first ones find everything cold.
                if rounds >= ROUNDS / 100 {
                    latencies.record(sent.elapsed());
                }
                rounds += 1;
            }
            drop(client);
            serving.join().unwrap_or_else(|_| Err(io::Error::other("the echo panicked")))?;
            Ok(latencies)
        })
    }
}

fn serve(mut stream: TcpStream, mut file: Option<Segments>, bytes: usize) -> io::Result<()> {
    let mut message = vec![0; bytes];
    loop {
        match stream.read_exact(&mut message) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        if let Some(file) = &mut file {
            file.append(&message)?;
            file.sync()?;
        }
        stream.write_all(&[0; 8])?;
    }
}
