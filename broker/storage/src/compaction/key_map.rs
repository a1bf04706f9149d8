//! The last offset of each key, in a table of fixed size.
//!
//! A key is known by 128 bits: two `SipHash` values of the key, told apart by a leading byte, under random keys
//! that are new for each map. Two keys that differ are taken for one with a chance of 2^-128, which nobody
//! outside can raise, since the random keys never leave the process: among a thousand million keys the chance
//! that any two meet is below 2^-68, far below that of a machine that miscalculates.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use thalweg_protocol::Offset;

use crate::defects::{Defect, planted};

/// What a key takes in memory, in bytes.
const SLOT_BYTES: usize = size_of::<Slot>();

/// Fewest slots, however small the budget: a pass must get on.
const SLOTS_MIN: usize = 64;

/// One key. Offset -1 is a free slot.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: [u64; 2],
    offset: i64,
}

const FREE: Slot = Slot { hash: [0; 2], offset: -1 };

/// Keys with their last offsets, by open addressing.
#[derive(Debug)]
pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    used: usize,
    used_max: usize,
    secret: RandomState,
}

impl KeyMap {
    /// A map for at most `keys` keys, as far as `bytes_max` bytes of memory allow.
    pub(crate) fn new(keys: u64, bytes_max: usize) -> Self {
        let wanted = usize::try_from(keys.saturating_mul(4) / 3 + 1).unwrap_or(usize::MAX);
        let count = wanted.min(bytes_max / SLOT_BYTES).max(SLOTS_MIN);
        // A quarter stays free, so that a search is short.
        let used_max = count - count / 4;
        Self { slots: vec![FREE; count], used: 0, used_max, secret: RandomState::new() }
    }

    /// Takes note of a record; records come in the order of their offsets. False when the key is new and the map
    /// is full.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let at = self.place_of(hash);
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if slot.offset < 0 {
            if self.used >= self.used_max {
                return false;
            }
            self.used += 1;
        }
        *slot = Slot { hash, offset: offset.get() };
        true
    }

    /// The last offset that was put for the key.
    pub(crate) fn latest(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots.get(self.place_of(self.hash(key)))?;
        (slot.offset >= 0).then(|| Offset::new(slot.offset))
    }

    /// How many keys it holds.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    /// The slot of the key, or the free one where it belongs.
    fn place_of(&self, hash: [u64; 2]) -> usize {
        let [first, _] = hash;
        let count = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        let start = usize::try_from(first % count).unwrap_or(0);
        let around = (start..self.slots.len()).chain(0..start);
        let is_place = |slot: &Slot| slot.offset < 0 || slot.hash == hash;
        let place = around.into_iter().find(|at| self.slots.get(*at).is_some_and(is_place));
        place.expect("a quarter of the slots is free")
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let half = |domain: u8| {
            let mut hasher = self.secret.build_hasher();
            hasher.write_u8(domain);
            hasher.write(key);
            hasher.finish()
        };
        if planted(Defect::ShortKeyHash) {
            return [half(0) & 0xff, 0];
        }
        [half(0), half(1)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_found() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut map = KeyMap::new(500, usize::MAX);
        let mut model = HashMap::new();
        for offset in 0..5000 {
            let key = rng.u16(0..500).to_be_bytes();
            assert!(map.put(&key, Offset::new(offset)));
            model.insert(key, offset);
        }
        assert_eq!(map.len(), model.len());
        for key in 0..1000_u16 {
            let key = key.to_be_bytes();
            assert_eq!(map.latest(&key).map(Offset::get), model.get(&key).copied());
        }
    }

    #[test]
    fn a_full_map_takes_no_new_key_and_goes_on_with_those_it_has() {
        let mut map = KeyMap::new(1_000_000, 100 * SLOT_BYTES);
        let mut taken = 0_u32;
        while map.put(&taken.to_be_bytes(), Offset::new(i64::from(taken))) {
            taken += 1;
        }
        assert_eq!(taken, 75, "a quarter stays free");
        assert_eq!(map.latest(&taken.to_be_bytes()), None);
        assert!(map.put(&7_u32.to_be_bytes(), Offset::new(1000)));
        assert_eq!(map.latest(&7_u32.to_be_bytes()), Some(Offset::new(1000)));
    }

    #[test]
    fn the_smallest_map_gets_on() {
        let mut map = KeyMap::new(0, 0);
        assert!(map.put(b"", Offset::ZERO) && map.put(b"a", Offset::new(1)));
        assert_eq!(map.latest(b""), Some(Offset::ZERO));
    }
}
