//! What the answer to a fetch means for each of its partitions.

use thalweg_protocol::native::{ApiError, FetchResponse, FetchedPartition};
use thalweg_protocol::{ErrorCode, Offset, Retry, TopicId};

use super::super::options::{OnCorrupt, OnOutOfRange, StartAt};
use super::super::position::{Board, Track};
use super::{Asked, AskedPartition, Fetcher};
use crate::clock::now;
use crate::error::{CallError, ConsumeError};

/// What is to be done beyond the board, once its lock is free.
enum Next {
    Nothing,
    Refresh,
    SeekAnew(StartAt),
}

impl Fetcher {
    pub(super) fn answered(&mut self, asked: &Asked, answer: Result<FetchResponse, CallError>) {
        self.budget.release(&asked.claim);
        let failed = answer.as_ref().err();
        if let Some(broker) = self.brokers.get_mut(&asked.address) {
            broker.in_flight = broker.in_flight.saturating_sub(1);
            if failed.is_some() {
                let now = now();
                if broker.retry_at.is_none_or(|at| at <= now) {
                    broker.retry_at = Some(now + broker.backoff.next(fastrand::f64()));
                }
            } else {
                broker.backoff.reset();
            }
        }
        match answer {
            Ok(response) => self.walk(asked, response),
            Err(error) => {
                tracing::debug!(address = %asked.address, %error, "fetch failed");
                self.fetch_failed(asked, error);
            }
        }
    }

    fn fetch_failed(&mut self, asked: &Asked, error: CallError) {
        let is_final = error.retry() == Retry::Never;
        {
            let mut board = self.shared.board();
            for one in &asked.partitions {
                let index = one.track;
                let Some(track) = current(&mut board, one) else {
                    continue;
                };
                track.follow(one.generation);
                track.failing_since.get_or_insert_with(now);
                if is_final {
                    let failure = final_failure(track, &error);
                    board.fail(index, failure, true);
                }
            }
        }
        self.refresh.want();
        self.last_trouble = error;
    }

    fn walk(&mut self, asked: &Asked, response: FetchResponse) {
        let mut answers = response.topics.into_iter().flat_map(|topic| {
            let id = topic.topic;
            topic.partitions.into_iter().map(move |one| (id, one))
        });
        for one in &asked.partitions {
            let answer = answers.next();
            let brings = answer.as_ref().is_some_and(|(_, one)| !one.records.is_empty());
            if let Some(broker) = self.brokers.get_mut(&asked.address).filter(|_| brings) {
                broker.next_track = one.track + 1;
            }
            let next = self.take(one, answer);
            match next {
                Next::Nothing => {}
                Next::Refresh => self.refresh.want(),
                Next::SeekAnew(start) => self.seek_anew(one.track, start),
            }
        }
    }

    fn take(
        &mut self,
        asked: &AskedPartition,
        answer: Option<(TopicId, FetchedPartition)>,
    ) -> Next {
        let shared = self.shared.clone();
        let mut board = shared.board();
        if current(&mut board, asked).is_none() {
            return Next::Nothing;
        }
        let next = self.take_current(&mut board, asked, answer);
        if let Some(track) = board.tracks.get_mut(asked.track) {
            track.follow(asked.generation);
        }
        next
    }

    fn take_current(
        &mut self,
        board: &mut Board,
        asked: &AskedPartition,
        answer: Option<(TopicId, FetchedPartition)>,
    ) -> Next {
        let index = asked.track;
        let Some(track) = board.tracks.get_mut(index) else {
            return Next::Nothing;
        };
        let one = match answer {
            Some((id, one)) if id == asked.topic && one.partition == track.partition => one,
            _ => {
                self.pause(track);
                return Next::Refresh;
            }
        };
        if one.error.is_some() {
            return self.refused(board, index, &one);
        }
        track.failing_since = None;
        track.retry_at = None;
        track.high_watermark = Some(one.high_watermark).filter(|end| *end != Offset::NONE);
        let from = track.fetch_from;
        self.refresh.confirmed();
        if let Err(error) = board.fetched(index, &one.records) {
            let message = error.to_string();
            return self.corrupt(board, index, from, Offset::NONE, message);
        }
        Next::Nothing
    }

    fn pause(&self, track: &mut Track) {
        let now = now();
        track.failing_since.get_or_insert(now);
        let mut backoff = self.router.backoff();
        // The pause after a few failures: partitions keep no count of their own.
        let _ = backoff.next(1.0);
        track.retry_at = Some(now + backoff.next(fastrand::f64()));
    }

    fn refused(&mut self, board: &mut Board, index: usize, one: &FetchedPartition) -> Next {
        let (Some(track), Some(error)) = (board.tracks.get_mut(index), &one.error) else {
            return Next::Nothing;
        };
        match error.code {
            ErrorCode::OffsetOutOfRange => self.out_of_range(board, index, one),
            ErrorCode::Corrupt => {
                let from = track.fetch_from;
                self.corrupt(board, index, from, one.next_good, error.message.clone())
            }
            ErrorCode::LogTruncated => {
                let failure = truncated(track, one);
                board.fail(index, failure, true);
                Next::Nothing
            }
            code if code.retry() == Retry::Never => {
                let failure = refusal(track, error);
                board.fail(index, failure, true);
                Next::Nothing
            }
            code => {
                let hint = one.leader;
                let metadata = self.router.metadata();
                let hinted =
                    hint.is_some_and(|hint| metadata.hint(&track.topic, track.partition, hint));
                if hinted {
                    return Next::Nothing;
                }
                self.pause(track);
                self.last_trouble = CallError::Refused {
                    address: "the leader".to_owned(),
                    api: "Fetch",
                    error: error.clone(),
                };
                if code.retry() == Retry::AfterRefresh { Next::Refresh } else { Next::Nothing }
            }
        }
    }

    fn out_of_range(&self, board: &mut Board, index: usize, one: &FetchedPartition) -> Next {
        let Some(track) = board.tracks.get_mut(index) else {
            return Next::Nothing;
        };
        // The log moved on between the search for the place to begin and the first fetch.
        if let Some(origin) = track.origin.filter(|origin| !matches!(origin, StartAt::Offset(_))) {
            self.pause(track);
            return Next::SeekAnew(origin);
        }
        match self.options.on_out_of_range {
            OnOutOfRange::Earliest => Next::SeekAnew(StartAt::Earliest),
            OnOutOfRange::Latest => Next::SeekAnew(StartAt::Latest),
            OnOutOfRange::Fail => {
                let failure = ConsumeError::OffsetOutOfRange {
                    topic: track.topic.to_string(),
                    partition: track.partition,
                    offset: track.fetch_from,
                    log_start: one.log_start,
                    log_end: one.high_watermark,
                };
                board.fail(index, failure, true);
                Next::Nothing
            }
        }
    }

    /// Damage from `offset` on: told, or skipped when that was wished for and is possible.
    fn corrupt(
        &self,
        board: &mut Board,
        index: usize,
        offset: Offset,
        next_good: Offset,
        message: String,
    ) -> Next {
        let Some(track) = board.tracks.get_mut(index) else {
            return Next::Nothing;
        };
        if self.options.on_corrupt == OnCorrupt::Skip && next_good > offset {
            tracing::warn!(
                topic = %track.topic, partition = %track.partition, from = %offset, to = %next_good,
                %message, "skipping a damaged range"
            );
            board.move_to(index, next_good);
            return Next::Nothing;
        }
        let failure = ConsumeError::Corrupt {
            topic: track.topic.to_string(),
            partition: track.partition,
            offset,
            next_good,
            message,
        };
        board.fail(index, failure, true);
        Next::Nothing
    }
}

/// The partition, if what was asked for is what comes next: there was no seek since, and what it was to follow is
/// here.
fn current<'a>(board: &'a mut Board, asked: &AskedPartition) -> Option<&'a mut Track> {
    let track = board.tracks.get_mut(asked.track)?;
    (track.generation == asked.generation && track.has_come(asked.from)).then_some(track)
}

fn final_failure(track: &Track, error: &CallError) -> ConsumeError {
    let code = error.code().unwrap_or(ErrorCode::UnsupportedVersion);
    refusal(track, &ApiError::new(code, error.to_string()))
}

fn refusal(track: &Track, error: &ApiError) -> ConsumeError {
    let (partition, topic, offset) = (track.partition, &track.topic, track.fetch_from);
    ConsumeError::Refused {
        operation: format!("read partition {partition} of topic {topic} from offset {offset}"),
        code: error.code,
        message: error.message.clone(),
    }
}

fn truncated(track: &Track, one: &FetchedPartition) -> ConsumeError {
    let (safe, epoch) = match one.diverging {
        Some(end) => (end.end.min(track.fetch_from), end.epoch),
        None => (Offset::NONE, track.last_epoch),
    };
    ConsumeError::LogTruncated {
        topic: track.topic.to_string(),
        partition: track.partition,
        offset: track.fetch_from,
        safe,
        epoch,
    }
}
