//! Changes bytes as damage, chance and malice do.

use fastrand::Rng;

/// No input grows beyond this: what is found with more is found with less.
const BYTES_MAX: usize = 64 * 1024;

/// Numbers at the edges of what fields can hold.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Changes `bytes` in one to five ways; `others` are inputs to take pieces from.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=rng.u8(0..5) {
        once(rng, bytes, others);
    }
    bytes.truncate(BYTES_MAX);
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    if bytes.is_empty() {
        bytes.extend((0..rng.usize(1..64)).map(|_| rng.u8(..)));
        return;
    }
    let at = rng.usize(0..bytes.len());
    match rng.u8(0..10) {
        0..3 => bytes[at] ^= 1 << rng.u8(0..8),
        3 => bytes[at] = rng.u8(..),
        4 => bytes[at] = bytes[at].wrapping_add(if rng.bool() { 1 } else { u8::MAX }),
        5 => overwrite(rng, bytes, at),
        6 => bytes.truncate(at),
        7 => remove(rng, bytes, at),
        8 => repeat(rng, bytes, at),
        _ => splice(rng, bytes, at, others),
    }
}

/// A number of one to eight bytes at the edge of its range.
fn overwrite(rng: &mut Rng, bytes: &mut [u8], at: usize) {
    let width = [1, 2, 4, 8][rng.usize(0..4)];
    let number = EDGES[rng.usize(0..EDGES.len())].to_be_bytes();
    let room = &mut bytes[at..];
    let width = room.len().min(width);
    room[..width].copy_from_slice(&number[8 - width..]);
}

fn remove(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let count = rng.usize(1..=(bytes.len() - at).min(64));
    bytes.drain(at..at + count);
}

/// A piece once more, or very often: long runs are what codecs and counts break on.
fn repeat(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let count = rng.usize(1..=(bytes.len() - at).min(64));
    let times = if rng.u8(0..8) == 0 { rng.usize(1..200) } else { 1 };
    let piece = bytes[at..at + count].repeat(times);
    bytes.splice(at..at, piece);
}

/// The rest is that of another input.
fn splice(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize, others: &[Vec<u8>]) {
    let Some(other) = rng.choice(others).filter(|other| !other.is_empty()) else { return };
    let from = rng.usize(0..other.len());
    bytes.truncate(at);
    bytes.extend_from_slice(&other[from..]);
}
