//! Random schedules: what is done to the logs, and when the power goes.

use thalweg_storage::fs::sim::{Crash, Survivors};

use crate::history::Verdict;
use crate::world::World;

/// Steps of a schedule that is crashed at every sync in turn.
const STEPS: u32 = 30;

/// One random thing that a broker may do to a log.
fn step(world: &mut World) -> Verdict {
    world.now += world.rng.i64(0..1000);
    let (name, result) = match world.rng.u8(0..100) {
        0..45 => ("append", world.append()),
        45..65 => ("sync", world.sync()),
        65..71 => ("repeat", world.repeat()),
        71..74 => ("skip sequences", world.skip_sequences()),
        74..76 => ("roll", world.roll()),
        76..78 => ("prepare", {
            world.prepare();
            Ok(())
        }),
        78..82 => ("cut", world.cut()),
        82..85 => ("delete records", world.delete_records()),
        85..88 => ("expire segments", world.expire_segments()),
        88..94 => ("checkpoint", world.checkpoint()),
        94..97 => ("new epoch", {
            world.new_epoch();
            Ok(())
        }),
        97 => ("capacity", {
            world.change_capacity();
            Ok(())
        }),
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

/// Appends and rolls, synced and with a recovery point behind all of it.
pub(crate) fn fill(world: &mut World) -> Verdict {
    for _ in 0..world.rng.u32(5..40) {
        world.append()?;
        if world.rng.u8(0..10) == 0 {
            world.sync()?;
        }
    }
    world.sync()?;
    world.checkpoint()?;
    world.check()
}

/// Lives of a few steps each, until the power has gone `crashes` times.
pub(crate) fn random_lives(world: &mut World, crashes: u64) -> Verdict {
    world.start()?;
    while world.disk.stats().crashes < crashes {
        let nth = world.rng.u64(1..40);
        match world.rng.u8(0..100) {
            0..25 => world.disk.crash_at_sync(nth),
            25..35 => world.disk.crash_at_write(nth),
            35..42 => world.disk.fail_sync(nth),
            42..45 => world.disk.fail_write(nth),
            _ => {}
        }
        let count = world.rng.u32(5..50);
        steps(world, count)?;
        end_life(world)?;
    }
    Ok(())
}

fn end_life(world: &mut World) -> Verdict {
    if world.rng.u8(0..100) < 15 && !world.is_stopped() {
        world.stop_cleanly()?;
        world.trace("stop cleanly");
    }
    world.note_stop();
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
    world.note_stop();
    let crash = any_crash(world);
    world.crash(crash)?;
    steps(world, 6)?;
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
