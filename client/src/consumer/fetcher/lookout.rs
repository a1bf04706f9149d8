//! Looks at the answer to a fetch while it arrives, so that what follows can be asked for before it is here: the
//! broker would else have nothing to do in between.

use std::sync::Weak;

use thalweg_protocol::native::{Arriving, GoesOn, Look};

use super::{AskedPartition, Shared};
use crate::connection::Watcher;

/// Notes on the board where the partitions of one answer go on.
pub(super) struct Lookout {
    /// A connection may outlive the consumer.
    shared: Weak<Shared>,
    /// In the order of the request.
    asked: Vec<AskedPartition>,
    arriving: Arriving,
}

impl Lookout {
    pub(super) fn new(shared: Weak<Shared>, asked: Vec<AskedPartition>) -> Self {
        Self { shared, asked, arriving: Arriving::default() }
    }

    fn tell(&self, known: &[GoesOn]) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut board = shared.board();
        let mut asked = self.asked.iter();
        let mut is_new = false;
        for one in known {
            let is_it = |asked: &&AskedPartition| {
                let track = board.tracks.get(asked.track);
                asked.topic == one.topic && track.is_some_and(|at| at.partition == one.partition)
            };
            let Some(found) = asked.find(is_it) else {
                break;
            };
            if let Some(track) = board.tracks.get_mut(found.track) {
                is_new |= track.foresee(found.generation, one.next, one.epoch);
            }
        }
        drop(board);
        if is_new {
            shared.wake.notify_one();
        }
    }
}

impl Watcher for Lookout {
    fn see(&mut self, arrived: &[u8], length: usize) -> bool {
        match self.arriving.look(arrived, length) {
            Look::TooEarly => true,
            Look::Known(known) => {
                self.tell(&known);
                false
            }
            Look::Hopeless => false,
        }
    }
}
