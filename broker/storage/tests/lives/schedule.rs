//! Random schedules: how many steps a life has, and when the power goes.

use thalweg_storage::fs::sim::{Crash, Survivors};

use super::life::{Life, Odds};
use super::verdict::Verdict;

/// Crashes of one random run.
const CRASHES_OF_A_RUN: u64 = 25;

/// Steps until they are done or the machine or the directory has stopped.
fn steps(world: &mut impl Life, count: u32) -> Verdict {
    for _ in 0..count {
        if world.is_stopped() {
            break;
        }
        world.step()?;
    }
    world.check()
}

/// Lives of a few steps each, until the power has gone so often that it is worth a run.
pub(crate) fn lives<W: Life>(world: &mut W) -> Verdict {
    let Odds { nth, crash_at_sync, crash_at_write, fail_sync, fail_write, steps: length, .. } =
        W::ODDS;
    world.start()?;
    while world.disk().stats().crashes < CRASHES_OF_A_RUN {
        let nth = world.rng().u64(nth.clone());
        match world.rng().u8(0..100) {
            one if one < crash_at_sync => world.disk().crash_at_sync(nth),
            one if one < crash_at_write => world.disk().crash_at_write(nth),
            one if one < fail_sync => world.disk().fail_sync(nth),
            one if one < fail_write => world.disk().fail_write(nth),
            _ => {}
        }
        let count = world.rng().u32(length.clone());
        steps(world, count)?;
        end_life(world)?;
    }
    Ok(())
}

fn end_life(world: &mut impl Life) -> Verdict {
    if world.rng().u8(0..100) < 15 && !world.is_stopped() {
        world.stop_cleanly()?;
        world.trace("stop cleanly");
    }
    world.note_stop();
    if world.rng().u8(0..100) < 20 {
        return world.kill();
    }
    world.crash_anyhow()
}

/// How many syncs the schedule of this seed has when nothing goes wrong.
pub(super) fn syncs_of(mut world: impl Life) -> Verdict<u64> {
    one_life(&mut world)?;
    Ok(world.disk().syncs())
}

/// The same schedule with the power going at its `nth` sync, and a short life afterwards.
pub(super) fn crash_at_sync<W: Life>(world: &mut W, nth: u64) -> Verdict {
    world.disk().crash_at_sync(nth);
    one_life(world)?;
    world.note_stop();
    world.crash_anyhow()?;
    steps(world, W::ODDS.steps_afterwards)?;
    world.crash(Crash::seeded(nth).leaving(Survivors::Nothing))
}

fn one_life<W: Life>(world: &mut W) -> Verdict {
    world.start()?;
    steps(world, W::ODDS.steps_at_every_sync)?;
    if !world.is_stopped() {
        world.stop_cleanly()?;
    }
    Ok(())
}
