//! Random schedules: what is done to the log, and when the power goes.

use thalweg_storage::fs::sim::{Crash, Survivors};

use crate::model::Verdict;
use crate::world::World;

/// Steps of a schedule that is crashed at every sync in turn.
const STEPS: u32 = 60;

fn step(world: &mut World) -> Verdict {
    world.now += world.rng.i64(0..1000);
    let (name, result) = match world.rng.u8(0..100) {
        0..50 => ("append", world.append()),
        50..65 => ("sync", world.sync()),
        65..70 => ("roll", world.roll()),
        70..80 => ("compact", world.compact()),
        80..82 => ("cut", world.cut()),
        82..83 => ("delete records", world.delete_records()),
        83..88 => ("checkpoint", world.checkpoint()),
        88..90 => ("new epoch", {
            world.new_epoch();
            Ok(())
        }),
        90..96 => ("hold", world.hold_slice()),
        _ => ("check", world.check()),
    };
    world.trace(name);
    result
}

/// Steps until they are done or the machine or the directory has stopped.
fn steps(world: &mut World, count: u32) -> Verdict {
    for _ in 0..count {
        if world.is_stopped() {
            break;
        }
        step(world)?;
    }
    world.check()
}

fn any_crash(world: &mut World) -> Crash {
    let crash = Crash::seeded(world.rng.u64(..));
    match world.rng.u8(0..10) {
        0 => crash.leaving(Survivors::Nothing),
        1 => crash.leaving(Survivors::Everything),
        _ => crash,
    }
}

/// Lives of a few steps each, until the power has gone `crashes` times.
pub(crate) fn random_lives(world: &mut World, crashes: u64) -> Verdict {
    world.start()?;
    while world.disk.stats().crashes < crashes {
        let nth = world.rng.u64(1..60);
        match world.rng.u8(0..100) {
            0..30 => world.disk.crash_at_sync(nth),
            30..45 => world.disk.crash_at_write(nth),
            45..50 => world.disk.fail_sync(nth),
            50..53 => world.disk.fail_write(nth),
            _ => {}
        }
        let count = world.rng.u32(20..80);
        steps(world, count)?;
        end_life(world)?;
    }
    Ok(())
}

fn end_life(world: &mut World) -> Verdict {
    world.seen.offline += u64::from(world.is_stopped() && !world.disk.is_down());
    if world.rng.u8(0..100) < 15 && !world.is_stopped() {
        world.stop_cleanly()?;
        world.trace("stop cleanly");
    }
    if world.rng.u8(0..100) < 20 {
        return world.kill();
    }
    let crash = any_crash(world);
    world.crash(crash)
}

/// How many syncs the schedule of this seed has when nothing goes wrong.
pub(crate) fn syncs_of(mut world: World) -> Verdict<u64> {
    one_life(&mut world)?;
    Ok(world.disk.syncs())
}

/// The same schedule with the power going at its `nth` sync, and a short life afterwards.
pub(crate) fn crash_at_sync(world: &mut World, nth: u64) -> Verdict {
    world.disk.crash_at_sync(nth);
    one_life(world)?;
    let crash = any_crash(world);
    world.crash(crash)?;
    steps(world, 10)?;
    world.crash(Crash::seeded(nth).leaving(Survivors::Nothing))
}

fn one_life(world: &mut World) -> Verdict {
    world.start()?;
    steps(world, STEPS)?;
    if !world.is_stopped() {
        world.stop_cleanly()?;
    }
    Ok(())
}
