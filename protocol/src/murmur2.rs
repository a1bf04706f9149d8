//! The hash that ties a key to a partition: murmur2 with the seed and the sign mask of Kafka's Java client.
//!
//! The same key goes to the same partition from any language, as long as the number of partitions stays.

use crate::PartitionIndex;

/// The seed that Kafka's Java client uses.
const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// Murmur2 of `key`, as the signed number that Kafka's Java client computes.
pub fn murmur2(key: &[u8]) -> i32 {
    // Keys longer than 4 GiB do not exist: a record's length is a 32-bit field.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The partition of `key` in a topic of `count` partitions: the hash without its sign, modulo `count`.
///
/// ```
/// use thalweg_protocol::{PartitionIndex, murmur2::partition_for_key};
/// assert_eq!(partition_for_key(b"abc", 3), PartitionIndex::new(479_470_107 % 3));
/// ```
///
/// # Panics
/// When `count` is not positive: a topic has at least one partition.
pub fn partition_for_key(key: &[u8], count: i32) -> PartitionIndex {
    assert!(count > 0, "a topic has at least one partition, not {count}");
    PartitionIndex::new((murmur2(key) & 0x7fff_ffff) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's Java client.
    const VECTORS: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];

    #[test]
    fn hashes_are_those_of_the_java_client() {
        for (key, hash) in VECTORS {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn partitions_take_the_hash_without_its_sign() {
        for (key, hash) in VECTORS {
            for count in [1, 2, 3, 7, 100, i32::MAX] {
                let expected = (hash & 0x7fff_ffff) % count;
                let partition = partition_for_key(key.as_bytes(), count);
                assert_eq!(partition.get(), expected);
                assert!((0..count).contains(&partition.get()));
            }
        }
    }

    #[test]
    fn every_length_of_tail_matters() {
        let key = b"0123456789";
        let mut hashes: Vec<i32> = (0..=key.len()).map(|end| murmur2(&key[..end])).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), key.len() + 1);
    }

    #[test]
    #[should_panic(expected = "at least one partition")]
    fn no_partitions_is_the_callers_mistake() {
        partition_for_key(b"k", 0);
    }
}
