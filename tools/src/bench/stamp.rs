//! The first bytes of a record that is to be found again: who wrote it, as the how-manieth, when, and the hash of all
//! that this writer put into this partition so far.

use std::time::Duration;

use crc_fast::{CrcAlgorithm, Digest};

use super::number::nanos;

/// The size of a stamp; records are at least as large.
pub(super) const STAMP_BYTES: usize = 32;

/// Tells our records from others in the same topic.
const MAGIC: [u8; 4] = *b"TwB1";

/// Where the hash stands.
const CHAIN_FROM: usize = 24;

/// ```text
///  0      4       8         16         24          32
///  |magic |writer |sequence |sent, ns  |chain hash |payload ...
///  |TwB1  |u32    |u64      |u64       |u64        |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Which writer.
    pub(super) writer: u32,
    /// How many records this writer put into this partition before.
    pub(super) sequence: u64,
    /// The moment that latency counts from; zero when it is not measured.
    pub(super) sent: Duration,
    /// The hash of the record before and of this one.
    pub(super) chain: u64,
}

impl Stamp {
    /// The stamp of a record; none if the record is not ours.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (head, _) = value.split_first_chunk::<STAMP_BYTES>()?;
        let (magic, rest) = head.split_first_chunk()?;
        let (writer, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (sent, chain) = rest.split_first_chunk()?;
        let chain = chain.first_chunk()?;
        (*magic == MAGIC).then(|| Self {
            writer: u32::from_be_bytes(*writer),
            sequence: u64::from_be_bytes(*sequence),
            sent: Duration::from_nanos(u64::from_be_bytes(*sent)),
            chain: u64::from_be_bytes(*chain),
        })
    }

    /// Writes the stamp over the first bytes of `value`, with the hash that follows from `before`; answers that hash.
    pub(super) fn write(self, value: &mut [u8], before: u64) -> u64 {
        let fields: [&[u8]; 4] = [
            &MAGIC,
            &self.writer.to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &nanos(self.sent).to_be_bytes(),
        ];
        for (place, byte) in value.iter_mut().zip(fields.concat()) {
            *place = byte;
        }
        let chain = hash(value, before);
        let rest = value.get_mut(CHAIN_FROM..).unwrap_or_default();
        for (place, byte) in rest.iter_mut().zip(chain.to_be_bytes()) {
            *place = byte;
        }
        chain
    }
}

/// The hash of a record that follows one with the hash `before`: of all its bytes but the hash itself.
pub(super) fn hash(value: &[u8], before: u64) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&before.to_be_bytes());
    digest.update(value.get(..CHAIN_FROM).unwrap_or(value));
    digest.update(value.get(STAMP_BYTES..).unwrap_or_default());
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_others_are_none() {
        let mut value = vec![7; 40];
        let stamp = Stamp { writer: 3, sequence: 1 << 40, sent: Duration::from_nanos(5), chain: 0 };
        let chain = stamp.write(&mut value, 99);
        assert_eq!(Stamp::read(&value), Some(Stamp { chain, ..stamp }));
        assert_eq!(hash(&value, 99), chain);
        assert_eq!(&value[STAMP_BYTES..], [7; 8]);
        assert_eq!(Stamp::read(&[7; 40]), None);
        assert_eq!(Stamp::read(&value[..31]), None);
    }
}
