//! Flipped bits in what was synced: reported, never cut off, and never read as something else.

use std::path::PathBuf;

use fastrand::Rng;
use thalweg_protocol::batch::HEADER_BYTES;
use thalweg_storage::fs::FileSystem;

use crate::lives::{Life, Verdict, ensure};
use crate::world::World;

/// Flips a bit of a batch that lies below the recovery point, restarts, and compares.
pub(crate) fn flip_below_the_recovery_point(world: &mut World) -> Verdict {
    world.start()?;
    world.fill()?;
    let at = world.pick();
    let Some((path, position)) = any_byte(world, at, "log")? else { return Ok(()) };
    let bit = world.rng.u8(0..8);
    let flipped = world.disk.flip_bit(&path, position, bit);
    flipped.map_err(|error| error.to_string())?;
    world.trace(&format!("flipped bit {bit} at {position} of {}", path.display()));
    world.restart_damaged(at)?;
    world.fill()?;
    world.count_spoiled(at);
    Ok(())
}

/// Flips a bit of an index: an index is a hint, so every read must still be right.
pub(crate) fn flip_an_index(world: &mut World, ending: &str) -> Verdict {
    world.start()?;
    world.fill()?;
    world.stop_cleanly()?;
    let at = world.pick();
    let Some((path, position)) = any_byte(world, at, ending)? else { return Ok(()) };
    let bit = world.rng.u8(0..8);
    let flipped = world.disk.flip_bit(&path, position, bit);
    flipped.map_err(|error| error.to_string())?;
    world.kill()?;
    world.fill()
}

/// A byte of one of the files with this ending; mostly of a batch's header, where it can be noticed.
fn any_byte(world: &mut World, at: usize, ending: &str) -> Verdict<Option<(PathBuf, usize)>> {
    let folder = world.folder(at);
    let files = world.disk.list(&folder).map_err(|error| error.to_string())?;
    let wanted = files.into_iter().filter(|path| path.extension().is_some_and(|it| it == ending));
    let mut bytes: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for path in wanted {
        let content =
            world.disk.read_small(&path, usize::MAX).map_err(|error| error.to_string())?;
        if !content.is_empty() {
            bytes.push((path, content));
        }
    }
    let synced = world.synced(at);
    let rng = &mut world.rng;
    let Some((path, content)) = rng.choice(bytes) else { return Ok(None) };
    let position = match ending {
        "log" => {
            let Some(position) = a_position(rng, &content, synced)? else { return Ok(None) };
            position
        }
        _ => rng.usize(0..content.len()),
    };
    Ok(Some((path, position)))
}

/// A byte of the header of one of the batches that begin below the offset `synced`.
fn a_position(rng: &mut Rng, content: &[u8], synced: i64) -> Verdict<Option<usize>> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(head) = content.get(at..at + 12) {
        let base = i64::from_be_bytes(head[..8].try_into().expect("eight bytes"));
        let length = u32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        if base < synced {
            starts.push(at);
        }
        at += 12 + usize::try_from(length).expect("32 bits");
    }
    ensure!(at == content.len(), "the segment does not end with a batch but at {at}");
    Ok(rng.choice(starts).map(|start| start + rng.usize(0..HEADER_BYTES)))
}

/// The folder of a partition disappears, as with a disk that is not mounted: opening it must fail, and must
/// leave nothing behind that the next start would take for the partition.
pub(crate) fn lose_a_folder(world: &mut World) -> Verdict {
    world.start()?;
    world.fill()?;
    world.stop_cleanly()?;
    let at = world.pick();
    let folder = world.folder(at);
    world.disk.remove_folder(&folder).map_err(|error| error.to_string())?;
    for _ in 0..2 {
        let started = world.kill();
        ensure!(started.is_err(), "a partition without its folder was opened");
        ensure!(!world.disk.exists(&folder), "the missing folder was made again");
    }
    Ok(())
}
