//! Lines from files or standard input, read on a thread of their own and handed over in pieces.
//!
//! A piece holds whole lines, as many as one read gave: a slow terminal's line goes on at once, and a large file
//! comes in large pieces.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Asked of the system at once.
const READ_BYTES: usize = 128 * 1024;

/// A longer line is a mistake, and would fit in no batch.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Pieces that wait for the producer.
const PIECES_MAX: usize = 8;

/// Whole lines.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    /// Bytes of the file that were read for it; fewer than `bytes` when it is compressed.
    pub(super) read_bytes: u64,
}

impl Piece {
    /// The lines without their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let whole = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        whole.split(|byte| *byte == b'\n')
    }
}

/// Where lines come from.
#[derive(Clone, Debug)]
pub(super) struct Input {
    files: Vec<PathBuf>,
}

impl Input {
    /// These files one after the other, or standard input when there is none; `-` is standard input, too.
    pub(super) const fn new(files: Vec<PathBuf>) -> Self {
        Self { files }
    }

    /// How many bytes there are to read, if that is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        let length =
            |file: &PathBuf| std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file);
        let lengths = self.files.iter().map(|file| length(file).map(|it| it.len()));
        (!self.files.is_empty()).then(|| lengths.sum()).flatten()
    }

    /// Opens everything, so that a misspelt name is told before anything is sent, and starts to read.
    pub(super) fn read(self) -> Result<mpsc::Receiver<Result<Piece, Failure>>, Failure> {
        let mut sources: Vec<Source> = Vec::new();
        for file in &self.files {
            sources.push(Source::open(file)?);
        }
        if sources.is_empty() {
            sources.push(Source::standard_input());
        }
        let (pieces, receiver) = mpsc::channel(PIECES_MAX);
        let reading = std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
            for source in sources {
                let name = source.name.clone();
                let failed = |error| Failure::failed(format!("cannot read {name}: {error}"));
                if let Err(error) = source.read_all(&pieces) {
                    // The producer may have given up already.
                    drop(pieces.blocking_send(Err(failed(error))));
                    return;
                }
            }
        });
        reading.map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
        Ok(receiver)
    }
}

/// One file, or standard input.
struct Source {
    name: String,
    reader: Box<dyn Read + Send>,
}

impl Source {
    fn standard_input() -> Self {
        Self { name: "standard input".to_owned(), reader: Box::new(io::stdin()) }
    }

    /// A file, inflated if its name ends in `.gz`.
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::standard_input());
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Failure::failed(format!("cannot open {name}: {error}")))?;
        let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let reader: Box<dyn Read + Send> =
            if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { name, reader })
    }

    fn read_all(mut self, pieces: &mpsc::Sender<Result<Piece, Failure>>) -> io::Result<()> {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let filled = buffer.len();
            if filled > LINE_BYTES_MAX {
                let text =
                    format!("a line is longer than {LINE_BYTES_MAX} bytes; is this a text file?");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            buffer.resize(filled + READ_BYTES, 0);
            let read = match self.reader.read(buffer.get_mut(filled..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                other => other?,
            };
            buffer.truncate(filled + read);
            let fresh = buffer.get(filled..).unwrap_or_default();
            let end = match fresh.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => filled + at + 1,
                // The last line may lack its end.
                None if read == 0 => buffer.len(),
                None => continue,
            };
            let rest = buffer.split_off(end);
            let bytes = std::mem::replace(&mut buffer, rest);
            let read_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let piece = Piece { bytes, read_bytes };
            let is_last = read == 0;
            // Nobody listens any more: the producer has failed and says why.
            let gone = !piece.bytes.is_empty() && pieces.blocking_send(Ok(piece)).is_err();
            if gone || is_last {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &'static [u8], step: usize) -> Vec<String> {
        struct Slow(&'static [u8], usize);
        impl Read for Slow {
            fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
                let (now, later) = self.0.split_at(self.1.min(self.0.len()).min(target.len()));
                target[..now.len()].copy_from_slice(now);
                self.0 = later;
                Ok(now.len())
            }
        }
        let (sender, mut receiver) = mpsc::channel(1_000);
        let source = Source { name: String::new(), reader: Box::new(Slow(text, step)) };
        source.read_all(&sender).unwrap();
        drop(sender);
        let mut lines = Vec::new();
        while let Ok(piece) = receiver.try_recv() {
            lines.extend(
                piece.unwrap().lines().map(|line| String::from_utf8(line.to_vec()).unwrap()),
            );
        }
        lines
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        for step in [1, 2, 3, 5, 100] {
            assert_eq!(lines_of(b"one\n\nthree\nlast", step), ["one", "", "three", "last"]);
            assert_eq!(lines_of(b"one\ntwo\n", step), ["one", "two"]);
            assert_eq!(lines_of(b"\n", step), [""]);
            assert!(lines_of(b"", step).is_empty());
        }
    }
}
