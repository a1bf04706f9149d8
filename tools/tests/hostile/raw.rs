//! A connection that is spoken by hand, with deadlines on everything.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use bytes::Bytes;
use thalweg_protocol::frame::{FrameReader, decode_response_header, request_frame};
use thalweg_protocol::native::{
    HandshakeRequest, PREFACE, Purpose, Request, RequestHeader, ResponseHeader, Tags,
};

use crate::support::DEADLINE;

/// Longer than any answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

pub struct Raw {
    stream: TcpStream,
    frames: FrameReader,
}

impl Raw {
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, frames: FrameReader::new(ANSWER_BYTES_MAX) })
    }

    /// A connection whose handshake is done.
    pub fn open(address: &str) -> io::Result<Self> {
        let mut raw = Self::connect(address)?;
        raw.send(&greeting())?;
        match raw.answer()? {
            Some(header) if header.error.is_none() => Ok(raw),
            other => Err(io::Error::other(format!("the handshake was answered by {other:?}"))),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends what the socket takes without waiting.
    pub fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let sent = self.stream.write(bytes);
        self.stream.set_nonblocking(false)?;
        sent
    }

    /// The header of the next answer; none when the broker has closed.
    pub fn answer(&mut self) -> io::Result<Option<ResponseHeader>> {
        let Some(frame) = self.frame()? else { return Ok(None) };
        let (header, _) = decode_response_header(frame).map_err(io::Error::other)?;
        Ok(Some(header))
    }

    fn frame(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.frames.next_frame().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(count) => self.frames.buffer().extend_from_slice(&piece[..count]),
                // A reset is a close as well.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the broker has closed.
    pub fn closed(&mut self) -> io::Result<()> {
        while self.frame()?.is_some() {}
        Ok(())
    }

    /// Says that nothing more comes.
    pub fn finish(&self) {
        // Closed already, perhaps.
        drop(self.stream.shutdown(Shutdown::Write));
    }
}

/// The first bytes of a client: preface and handshake.
pub fn greeting() -> Vec<u8> {
    let handshake = HandshakeRequest {
        client_name: "hostile".to_owned(),
        client_version: "0".to_owned(),
        purpose: Purpose::Data,
        features: Vec::new(),
    };
    [&PREFACE[..], &request(1, &handshake)].concat()
}

/// A request's frame; its answer is not waited for longer than a moment.
pub fn request<R: Request>(correlation: u32, body: &R) -> Vec<u8> {
    let header = RequestHeader {
        api: R::API.number(),
        version: 0,
        correlation,
        timeout_ms: 50,
        tags: Tags::default(),
    };
    request_frame(&header, body).concat()
}
