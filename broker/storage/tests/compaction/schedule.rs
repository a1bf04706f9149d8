//! What is done to the log.

use crate::lives::{Life, Verdict};
use crate::world::World;

impl World {
    /// One random thing that a broker may do to a compacted log.
    pub(crate) fn any_step(&mut self) -> Verdict {
        self.now += self.rng.i64(0..1000);
        let (name, result) = match self.rng.u8(0..100) {
            0..50 => ("append", self.append()),
            50..65 => ("sync", self.sync()),
            65..70 => ("roll", self.roll()),
            70..80 => ("compact", self.compact()),
            80..82 => ("cut", self.cut()),
            82..83 => ("delete records", self.delete_records()),
            83..88 => ("checkpoint", self.checkpoint()),
            88..90 => ("new epoch", {
                self.new_epoch();
                Ok(())
            }),
            90..96 => ("hold", self.hold_slice()),
            _ => ("check", self.check()),
        };
        self.trace(name);
        result
    }
}
