//! Where to go on: seek, pause, resume.

use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::super::options::StartAt;
use super::super::position::Activity;
use super::super::start::resolve;
use super::Consumer;
use crate::error::ConsumeError;
use crate::record::Partition;

impl Consumer {
    /// Goes on at another place, also after an error or a pause; what was read ahead is thrown away.
    pub async fn seek(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
        at: StartAt,
    ) -> Result<(), ConsumeError> {
        let partition = partition.into().0;
        let track = self.track(topic, partition)?;
        let name = TopicName::new(topic).map_err(crate::ConfigError::from)?;
        let offset = match at {
            StartAt::Committed => self.committed_offset(&name, partition).await?,
            at => resolve(&self.router, &name, partition, at).await?,
        };
        let is_paused = self.activity(track) == Some(Activity::Paused);
        self.restart(track, offset, is_paused);
        if let Some(place) = self.positions.get(track) {
            place.progress.settle(offset);
        }
        Ok(())
    }

    /// Reads on at `offset`. What is in hand is not done with by this: who pauses may do so because of it.
    fn restart(&mut self, track: usize, offset: Offset, is_paused: bool) {
        self.drop_chunk_of(track);
        let Some(place) = self.positions.get_mut(track) else {
            return;
        };
        place.position = offset;
        let activity = match is_paused {
            _ if offset >= place.stop => Activity::Finished,
            true => Activity::Paused,
            false => Activity::Reading,
        };
        self.shared.board().restart(track, offset, activity);
        self.shared.wake.notify_one();
    }

    /// Hands out no more of a partition until [`Self::resume`]. What was read ahead of it is thrown away, so
    /// that others have the memory.
    pub fn pause(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<(), ConsumeError> {
        let track = self.track(topic, partition.into().0)?;
        if self.activity(track) == Some(Activity::Reading) {
            let position = self.positions.get(track).map(|place| place.position);
            self.restart(track, position.unwrap_or(Offset::ZERO), true);
        }
        Ok(())
    }

    /// Goes on with a paused partition where it was.
    pub fn resume(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<(), ConsumeError> {
        let track = self.track(topic, partition.into().0)?;
        if self.activity(track) == Some(Activity::Paused) {
            let position = self.positions.get(track).map(|place| place.position);
            self.restart(track, position.unwrap_or(Offset::ZERO), false);
        }
        Ok(())
    }

    fn activity(&self, track: usize) -> Option<Activity> {
        let board = self.shared.board();
        board.tracks.get(track).map(|track| track.activity)
    }

    fn track(&mut self, topic: &str, partition: PartitionIndex) -> Result<usize, ConsumeError> {
        self.notice_tracks();
        let found = self.shared.board().find_assigned(topic, partition);
        found.ok_or_else(|| ConsumeError::NotAssigned { topic: topic.to_owned(), partition })
    }
}
