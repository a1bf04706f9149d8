//! Where each partition stands: position, lag, log end.

use futures_util::future::try_join_all;
use thalweg_protocol::native::OffsetQuery;
use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::super::consumed::Lag;
use super::super::position::Activity;
use super::super::start::consume_error;
use super::Consumer;
use crate::error::ConsumeError;
use crate::record::Partition;

impl Consumer {
    /// The offset of the next record that is handed out; none when the partition is not assigned.
    pub fn position(&self, topic: &str, partition: impl Into<Partition>) -> Option<Offset> {
        let index = self.shared.board().find_assigned(topic, partition.into().0)?;
        self.positions.get(index).map(|place| place.position)
    }

    /// What is read, and how far behind the log end it is, as of the last fetch of each partition.
    pub fn lag(&self) -> Vec<Lag> {
        let board = self.shared.board();
        let places = self.positions.iter().zip(&board.tracks);
        let assigned = places.filter(|(_, track)| track.activity != Activity::Gone);
        let lag = assigned.map(|(place, track)| Lag {
            topic: place.topic.clone(),
            partition: place.partition,
            position: place.position,
            high_watermark: track.high_watermark,
            records: track.high_watermark.map(|end| end.since(place.position).max(0)),
        });
        lag.collect()
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
