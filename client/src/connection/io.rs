//! The task of one connection: one loop that reads, writes, and watches deadlines.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use thalweg_protocol::codec::Reader;
use thalweg_protocol::frame::{FrameReader, LENGTH_BYTES, decode_response_header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::sleep_until;

use super::{Answer, Outgoing, Watcher};
use crate::clock::{Instant, now};
use crate::error::CallError;

/// Chunks in one vectored write.
const SLICES_MAX: usize = 64;

/// Beyond so many bytes that wait for the socket no further request is taken from the line.
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The longest pause that a broker can ask for in one answer.
const THROTTLE_MAX: Duration = Duration::from_secs(30);

/// How long the task sleeps when nothing is in flight.
const IDLE: Duration = Duration::from_hours(1);

/// A request that waits for its answer, or to be written when it has none.
struct Waiting {
    api: &'static str,
    begun: Instant,
    deadline: Instant,
    answer: oneshot::Sender<Answer>,
    watcher: Option<Box<dyn Watcher>>,
    _permit: OwnedSemaphorePermit,
}

/// Why the task ended.
enum End {
    /// Nobody holds the connection any more.
    Unused,
    /// This request's deadline passed.
    Overdue(u32),
    /// The socket or the bytes on it are of no more use.
    Broken(String),
}

/// What the loop owns beside the socket.
pub(super) struct Task {
    stream: Option<TcpStream>,
    state: State,
    outgoing: mpsc::Receiver<Outgoing>,
    ended: Arc<AtomicBool>,
}

struct State {
    address: Arc<str>,
    frames: FrameReader,
    waiting: HashMap<u32, Waiting>,
    outbox: Outbox,
    /// The broker asked for a pause until then.
    held_until: Option<Instant>,
}

impl Task {
    pub(super) fn new(
        stream: TcpStream,
        frames: FrameReader,
        address: Arc<str>,
        outgoing: mpsc::Receiver<Outgoing>,
        ended: Arc<AtomicBool>,
    ) -> Self {
        let state = State {
            address,
            frames,
            waiting: HashMap::new(),
            outbox: Outbox::default(),
            held_until: None,
        };
        Self { stream: Some(stream), state, outgoing, ended }
    }

    pub(super) async fn run(mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        let (mut reader, mut writer) = stream.split();
        let end = self.turn(&mut reader, &mut writer).await;
        // Marked before anyone hears of it: who retries at once must not find this connection again.
        self.ended.store(true, Ordering::Release);
        drop(stream);
        self.fail(&end);
    }

    async fn turn(&mut self, reader: &mut ReadHalf<'_>, writer: &mut WriteHalf<'_>) -> End {
        let state = &mut self.state;
        let mut alarm = Box::pin(sleep_until(now() + IDLE));
        loop {
            let takes_more = state.outbox.bytes < OUTBOX_BYTES_MAX && state.held_until.is_none();
            tokio::select! {
                read = reader.read_buf(state.frames.buffer()) => match read {
                    Ok(0) => return End::Broken("the broker closed it".to_owned()),
                    Ok(_) => if let Err(reason) = state.take_answers() {
                        return End::Broken(reason);
                    },
                    Err(error) => return End::Broken(error.to_string()),
                },
                written = state.outbox.write(writer), if !state.outbox.is_empty() => {
                    if let Err(error) = written {
                        return End::Broken(error.to_string());
                    }
                    state.finish_unanswered();
                },
                next = self.outgoing.recv(), if takes_more => match next {
                    Some(next) => state.enqueue(next),
                    None => return End::Unused,
                },
                () = alarm.as_mut() => {
                    if let Some(overdue) = state.overdue(now()) {
                        return End::Overdue(overdue);
                    }
                    state.release(now());
                },
            }
            let next = state.next_alarm();
            if next != alarm.deadline() && (next < alarm.deadline() || alarm.is_elapsed()) {
                alarm.as_mut().reset(next);
            }
        }
    }

    /// Tells everyone who still waits.
    fn fail(mut self, end: &End) {
        self.outgoing.close();
        let address = self.state.address.to_string();
        let reason = match end {
            End::Unused => "it is not used any more".to_owned(),
            End::Overdue(_) => "another request was not answered in time".to_owned(),
            End::Broken(reason) => reason.clone(),
        };
        if !self.state.waiting.is_empty() {
            tracing::debug!(%address, %reason, waiting = self.state.waiting.len(), "connection lost");
        }
        for (correlation, waiting) in self.state.waiting.drain() {
            let error = match end {
                End::Overdue(overdue) if *overdue == correlation => CallError::TimedOut {
                    address: address.clone(),
                    api: waiting.api,
                    waited_ms: u64::try_from((now() - waiting.begun).as_millis())
                        .unwrap_or(u64::MAX),
                },
                _ => lost(&address, waiting.api, &reason, true),
            };
            // Who does not wait any more does not need to know.
            let _ = waiting.answer.send(Err(error));
        }
        while let Ok(outgoing) = self.outgoing.try_recv() {
            let error = lost(&address, outgoing.api, &reason, false);
            let _ = outgoing.answer.send(Err(error));
        }
    }
}

fn lost(address: &str, api: &'static str, reason: &str, sent: bool) -> CallError {
    CallError::Lost { address: address.to_owned(), api, reason: reason.to_owned(), sent }
}

impl State {
    fn enqueue(&mut self, outgoing: Outgoing) {
        self.outbox.push(outgoing.chunks, outgoing.correlation, outgoing.answered);
        let waiting = Waiting {
            api: outgoing.api,
            begun: outgoing.begun,
            deadline: outgoing.deadline,
            answer: outgoing.answer,
            watcher: outgoing.watcher,
            _permit: outgoing.permit,
        };
        self.waiting.insert(outgoing.correlation, waiting);
    }

    /// Hands out all answers that have arrived whole.
    fn take_answers(&mut self) -> Result<(), String> {
        while let Some(frame) = self.frames.next_frame().map_err(|e| e.to_string())? {
            let (header, reader) = decode_response_header(frame).map_err(|e| e.to_string())?;
            let Some(waiting) = self.waiting.remove(&header.correlation) else {
                return Err(format!(
                    "the broker answered request {}, which was not asked",
                    header.correlation
                ));
            };
            if header.throttle_ms > 0 {
                let pause = Duration::from_millis(u64::from(header.throttle_ms));
                self.held_until = Some(now() + pause.min(THROTTLE_MAX));
            }
            let answer = match header.error {
                Some(error) => Err(CallError::Refused {
                    address: self.address.to_string(),
                    api: waiting.api,
                    error,
                }),
                None => Ok(reader),
            };
            let _ = waiting.answer.send(answer);
        }
        self.show_arriving();
        Ok(())
    }

    /// Shows what has arrived of the next answer to whoever wants to see it.
    fn show_arriving(&mut self) {
        let arrived = self.frames.peek().get(LENGTH_BYTES..).unwrap_or_default();
        let Some(correlation) = arrived.first_chunk().map(|first| u32::from_be_bytes(*first))
        else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(&correlation) else {
            return;
        };
        if let Some(watcher) = &mut waiting.watcher
            && !watcher.see(arrived, self.frames.announced_bytes())
        {
            waiting.watcher = None;
        }
    }

    /// Requests that get no answer are done when they are written.
    fn finish_unanswered(&mut self) {
        while let Some(correlation) = self.outbox.written.pop_front() {
            if let Some(waiting) = self.waiting.remove(&correlation) {
                let _ = waiting.answer.send(Ok(Reader::new(Bytes::new())));
            }
        }
    }

    fn overdue(&self, now: Instant) -> Option<u32> {
        let mut waiting = self.waiting.iter();
        waiting.find(|(_, waiting)| waiting.deadline <= now).map(|(correlation, _)| *correlation)
    }

    fn release(&mut self, now: Instant) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
        }
    }

    /// When to look at deadlines again.
    fn next_alarm(&self) -> Instant {
        let deadlines = self.waiting.values().map(|waiting| waiting.deadline);
        let first = deadlines.chain(self.held_until).min();
        first.unwrap_or_else(|| now() + IDLE)
    }
}

/// Chunks that wait for the socket, in order.
#[derive(Default)]
struct Outbox {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Requests without an answer, and how many bytes are to be written until each is out.
    unanswered: VecDeque<(u32, usize)>,
    /// Those of them that are out.
    written: VecDeque<u32>,
}

impl Outbox {
    fn push(&mut self, chunks: Vec<Bytes>, correlation: u32, answered: bool) {
        for chunk in chunks {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
        if !answered {
            self.unanswered.push_back((correlation, self.bytes));
        }
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// One vectored write of what the socket takes now. Loses nothing when it is dropped half-way.
    async fn write(&mut self, writer: &mut WriteHalf<'_>) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let ready = slices.get(..count).unwrap_or_default();
        let written = writer.write_vectored(ready).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(())
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut left = written;
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.len() > left {
                chunk.advance(left);
                break;
            }
            left -= chunk.len();
            self.chunks.pop_front();
        }
        for (_, until) in &mut self.unanswered {
            *until = until.saturating_sub(written);
        }
        while let Some((correlation, 0)) = self.unanswered.front().copied() {
            self.unanswered.pop_front();
            self.written.push_back(correlation);
        }
    }
}
