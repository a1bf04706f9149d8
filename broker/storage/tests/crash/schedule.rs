//! What is done to the logs.

use crate::lives::{Life, Verdict};
use crate::world::World;

impl World {
    /// One random thing that a broker may do to a log.
    pub(crate) fn any_step(&mut self) -> Verdict {
        self.now += self.rng.i64(0..1000);
        let (name, result) = match self.rng.u8(0..100) {
            0..45 => ("append", self.append()),
            45..65 => ("sync", self.sync()),
            65..71 => ("repeat", self.repeat()),
            71..74 => ("skip sequences", self.skip_sequences()),
            74..76 => ("roll", self.roll()),
            76..78 => ("prepare", {
                self.prepare();
                Ok(())
            }),
            78..82 => ("cut", self.cut()),
            82..85 => ("delete records", self.delete_records()),
            85..88 => ("expire segments", self.expire_segments()),
            88..94 => ("checkpoint", self.checkpoint()),
            94..97 => ("new epoch", {
                self.new_epoch();
                Ok(())
            }),
            97 => ("capacity", {
                self.change_capacity();
                Ok(())
            }),
            _ => ("check", self.check()),
        };
        self.trace(name);
        result
    }

    /// Appends and rolls, synced and with a recovery point behind all of it.
    pub(crate) fn fill(&mut self) -> Verdict {
        for _ in 0..self.rng.u32(5..40) {
            self.append()?;
            if self.rng.u8(0..10) == 0 {
                self.sync()?;
            }
        }
        self.sync()?;
        self.checkpoint()?;
        self.check()
    }
}
