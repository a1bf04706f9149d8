//! The scrub: every flipped bit of a closed segment is found, remembered and told, and nothing else is.

use super::*;

/// A log of five closed segments and an active one, all synced.
fn fixture() -> Fixture {
    let mut it = Fixture::with(LogOptions { segment_bytes: 2_000, ..LogOptions::default() });
    while it.reader().segment_count() < 6 {
        it.append(2);
    }
    it.reader().sync().unwrap();
    it
}

impl Fixture {
    /// One pass in pieces of `bytes_max`: bytes, and what was found.
    fn scrub(&self, bytes_max: u64) -> (u64, Vec<BadRange>) {
        let (mut bytes, mut found, mut place) = (0, Vec::new(), None);
        loop {
            let done = self.reader().scrub(place, bytes_max).unwrap();
            bytes += done.bytes;
            found.extend(done.found);
            let Some(next) = done.next else { return (bytes, found) };
            assert!(place != Some(next), "the scrub stands still");
            place = Some(next);
        }
    }

    /// The closed segments' base offsets and lengths.
    fn closed(&self) -> Vec<(i64, usize)> {
        let segments = self.reader().shared.segments.load_full();
        let (_, closed) = segments.as_slice().split_last().unwrap();
        let length = |segment: &Arc<segment::Segment>| {
            (segment.base_offset().get(), usize::try_from(segment.visible()).unwrap())
        };
        closed.iter().map(length).collect()
    }
}

#[test]
fn every_closed_byte_is_checked_once_in_pieces_of_any_size() {
    let it = fixture();
    let closed: usize = it.closed().iter().map(|(_, bytes)| bytes).sum();
    for bytes_max in [1, 500, 2_000, 1 << 20] {
        assert_eq!(
            it.scrub(bytes_max),
            (u64::try_from(closed).unwrap(), Vec::new()),
            "{bytes_max}"
        );
    }
}

#[test]
fn a_damaged_record_is_remembered_and_the_rest_is_read_on() {
    let it = fixture();
    // In the middle of the second batch, where only its checksum tells.
    it.disk.flip_bit(&it.path(0, FileKind::Log), 450, 3).unwrap();
    assert!(it.read(0).is_ok(), "vacuous: the read found it by itself");
    let range = BadRange { from: offset(2), next_good: offset(4) };
    assert_eq!(it.scrub(1 << 20).1, [range]);
    let told = it.read(2).unwrap_err();
    assert!(
        matches!(told, ReadError::Corrupt { next_good, .. } if next_good == offset(4)),
        "{told}"
    );
    assert!(it.read(0).is_ok() && it.read(4).is_ok());
    assert_eq!(it.reader().bad_ranges(), [range]);
    assert_eq!(it.scrub(1 << 20).1, [], "what is known is not found again");
}

#[test]
fn every_flipped_bit_is_found() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let it = fixture();
        let (base, bytes) = *random.choice(&it.closed()).unwrap();
        let (position, bit) = (random.usize(0..bytes), random.u8(0..8));
        it.disk.flip_bit(&it.path(base, FileKind::Log), position, bit).unwrap();
        let (_, found) = it.scrub(700);
        let what = format!("bit {bit} of byte {position} in segment {base}: {found:?}");
        let [range] = found[..] else { panic!("{what}") };
        assert!(range.from.get() >= base && range.next_good > range.from, "{what}");
        assert!(range.next_good.since(range.from) <= 4, "more than two batches: {what}");
    }
}

#[test]
fn what_still_changes_is_left_alone() {
    let mut it = Fixture::with(LogOptions { segment_bytes: 2_000, ..LogOptions::default() });
    it.append(2);
    assert_eq!(it.scrub(1_000), (0, Vec::new()), "the active segment");
    while it.reader().segment_count() < 3 {
        it.append(2);
    }
    assert_eq!(it.scrub(1_000), (0, Vec::new()), "closed, and not synced");
    it.reader().sync().unwrap();
    assert!(it.scrub(1_000).0 > 0);
}

#[test]
fn a_scrub_goes_on_behind_segments_that_were_deleted() {
    let mut it = fixture();
    let first = it.reader().scrub(None, 100).unwrap();
    let (last, bytes) = *it.closed().last().unwrap();
    it.log().delete_below(offset(last)).unwrap();
    let done = it.reader().scrub(first.next, 1 << 20).unwrap();
    assert_eq!(done.bytes, u64::try_from(bytes).unwrap());
}
