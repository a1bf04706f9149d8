//! One run of the command: from the first line to the last receipt.

use std::collections::VecDeque;

use serde::Serialize;
use thalweg_client::{Producer, Receipt, SendError};
use tokio::sync::mpsc;

use super::lines::Piece;
use super::progress::{Progress, retries};
use super::shape::Shape;
use crate::clock::Started;
use crate::console::Console;
use crate::failure::Failure;
use crate::values;

/// What was done so far.
#[derive(Default)]
struct Counts {
    /// Lines that were sent.
    lines: u64,
    /// Their bytes.
    bytes: u64,
    /// Records that the broker has acknowledged.
    delivered: u64,
}

/// What the command tells programs at its end.
#[derive(Serialize)]
struct Summary<'a> {
    topic: &'a str,
    records: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: u64,
    batches: u64,
    /// The batches as they went over the wire.
    sent_bytes: u64,
    /// How often a batch was sent again.
    retries: u64,
}

/// One run of the command.
pub(super) struct Run<'a> {
    shape: &'a Shape,
    producer: Producer,
    /// Receipts in the order of their lines.
    waiting: VecDeque<Receipt>,
    counts: Counts,
    progress: Progress,
    started: Started,
}

type Pieces = mpsc::Receiver<Result<Piece, Failure>>;

impl<'a> Run<'a> {
    /// Nothing was sent yet.
    pub(super) fn new(shape: &'a Shape, producer: Producer, progress: Progress) -> Self {
        let (waiting, counts, started) = (VecDeque::new(), Counts::default(), Started::now());
        Self { shape, producer, waiting, counts, progress, started }
    }

    /// Sends everything and waits for every receipt.
    pub(super) async fn all(&mut self, mut pieces: Pieces) -> Result<(), Failure> {
        let mut interrupted = Box::pin(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                piece = pieces.recv() => match piece {
                    Some(piece) => self.send(&piece?).await?,
                    None => break,
                },
                // A failure shall be told also while no line comes.
                result = next(&mut self.waiting), if !self.waiting.is_empty() => self.settle(result)?,
                _ = &mut interrupted => {
                    self.deliver_rest().await?;
                    return Err(Failure::failed("interrupted; what was read before has been delivered"));
                }
            }
        }
        tokio::select! {
            result = self.deliver_rest() => result,
            _ = interrupted => Err(Failure::failed("interrupted before everything was delivered")),
        }
    }

    async fn send(&mut self, piece: &Piece) -> Result<(), Failure> {
        for line in piece.lines() {
            let number = self.counts.lines + 1;
            let named = |text: String| Failure::failed(format!("line {number}: {text}"));
            let (key, timestamp) = self.shape.fields(line).map_err(named)?;
            let record = self.shape.record(line, key.as_ref(), timestamp);
            let receipt =
                self.producer.send(record).await.map_err(|error| named(error.to_string()))?;
            self.waiting.push_back(receipt);
            self.counts.lines = number;
            self.counts.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        }
        while let Some(result) = self.waiting.front().and_then(Receipt::try_get) {
            self.waiting.pop_front();
            self.settle(result.map(drop))?;
        }
        self.progress.advance(piece.read_bytes, self.counts.delivered, &self.producer.stats());
        Ok(())
    }

    async fn deliver_rest(&mut self) -> Result<(), Failure> {
        // Without a flush, a long linger would be waited for.
        let flushed = self.producer.flush().await;
        while !self.waiting.is_empty() {
            let result = next(&mut self.waiting).await;
            self.settle(result)?;
        }
        Ok(flushed?)
    }

    /// Takes note of the oldest receipt's outcome.
    fn settle(&mut self, result: Result<(), SendError>) -> Result<(), Failure> {
        let number = self.counts.delivered + 1;
        result.map_err(|error| Failure::failed(format!("line {number}: {error}")))?;
        self.counts.delivered = number;
        Ok(())
    }

    /// Says how it went.
    pub(super) async fn end(
        self,
        result: Result<(), Failure>,
        topic: &str,
        console: &mut Console,
    ) -> Result<(), Failure> {
        self.progress.finish();
        let time = self.started.elapsed();
        let Counts { lines, bytes, delivered } = self.counts;
        let stats = self.producer.stats();
        if result.is_err() {
            // What is under way may still be stored; the failure is told either way.
            drop(self.producer.close().await);
            console.note(&format!(
                "{} of {} lines were delivered to {topic} before the failure, in {} ({})",
                values::grouped(delivered),
                values::grouped(lines),
                values::time(time),
                retries(stats.retries),
            ));
            return result;
        }
        self.producer.close().await?;
        let per_second = values::rate(delivered, time);
        if console.is_json() {
            let seconds = time.as_secs_f64();
            console.json(&Summary {
                topic,
                records: delivered,
                bytes,
                seconds,
                records_per_second: per_second,
                batches: stats.batches,
                sent_bytes: stats.bytes,
                retries: stats.retries,
            })?;
        }
        console.note(&format!(
            "published {} records, {}, to {topic} in {} ({} records/s, {}/s, {})",
            values::grouped(delivered),
            values::size(bytes),
            values::time(time),
            values::grouped(per_second),
            values::size(values::rate(bytes, time)),
            retries(stats.retries),
        ));
        Ok(())
    }
}

/// Waits for the oldest receipt and takes it out. Dropped before its end, it has changed nothing.
async fn next(waiting: &mut VecDeque<Receipt>) -> Result<(), SendError> {
    let Some(oldest) = waiting.front_mut() else { return Ok(()) };
    let result = oldest.await;
    waiting.pop_front();
    result.map(drop)
}
