//! Where each partition stands: position, lag, log end.

use std::sync::Arc;

use futures_util::future::try_join_all;
use thalweg_protocol::native::OffsetQuery;
use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::super::consumed::Lag;
use super::super::position::{Activity, Track};
use super::super::start::consume_error;
use super::Consumer;
use crate::error::ConsumeError;
use crate::record::Partition;

impl Consumer {
    /// The offset of the next record that is handed out; none when the partition is not assigned.
    pub fn position(&self, topic: &str, partition: impl Into<Partition>) -> Option<Offset> {
        let board = self.shared.board();
        let index = board.find_assigned(topic, partition.into().0)?;
        Some(self.position_of(index, board.tracks.get(index)?))
    }

    /// What is read, and how far behind the log end it is, as of the last fetch of each partition.
    pub fn lag(&self) -> Vec<Lag> {
        let board = self.shared.board();
        let tracks = board.tracks.iter().enumerate();
        let assigned = tracks.filter(|(_, track)| track.activity != Activity::Gone);
        let lag = assigned.map(|(index, track)| {
            let position = self.position_of(index, track);
            Lag {
                topic: track.topic.clone(),
                partition: track.partition,
                position,
                high_watermark: track.high_watermark,
                records: track.high_watermark.map(|end| end.since(position).max(0)),
            }
        });
        lag.collect()
    }

    /// Where the handle is; where the partition begins, if the handle has not come to it yet.
    fn position_of(&self, index: usize, track: &Track) -> Offset {
        let place = self.positions.get(index);
        let place = place.filter(|place| Arc::ptr_eq(&place.progress, &track.progress));
        place.map_or(track.begin, |place| place.position)
    }

    /// Bytes that are read ahead now.
    pub fn prefetched_bytes(&self) -> usize {
        self.shared.board().buffered_bytes()
    }

    /// The ends of the logs now, asked of the leaders: readers see what is below.
    pub async fn end_offsets(
        &self,
    ) -> Result<Vec<(TopicName, PartitionIndex, Offset)>, ConsumeError> {
        let assigned = self.positions.iter().filter(|place| !place.progress.is_over());
        let asked = assigned.map(|place| async {
            let listed =
                self.router.list_offset(&place.topic, place.partition, OffsetQuery::Latest);
            let end = listed.await.map_err(consume_error)?.offset;
            Ok((place.topic.clone(), place.partition, end))
        });
        try_join_all(asked).await
    }
}
