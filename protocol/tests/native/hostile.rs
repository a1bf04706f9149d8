//! Cut and changed vectors: an error or a value, never a panic, and memory in proportion to the bytes.

use bytes::Bytes;
use thalweg_counting::measure;
use thalweg_protocol::codec::{DecodeError, ELEMENTS_MAX};
use thalweg_protocol::native::Api;

use crate::vectors::{self, Kind};
use crate::whole::{decode, echo};

/// Heap bytes that decoding may hold for each byte of a frame. The worst element is an empty text: 2 bytes
/// on the wire, 24 in memory, and up to three times that while its list moves to a larger place.
const HEAP_PER_BYTE_MAX: usize = 40;

/// Heap bytes that decoding may hold in any case: first room of nested lists, the sentence of an error.
const HEAP_FIXED_MAX: usize = 32 * 1024;

fn decode_bounded(name: &str, kind: Kind, api: u16, frame: Bytes) -> Result<(), DecodeError> {
    let frame_bytes = frame.len();
    let (result, heap) = measure(|| decode(kind, api, frame));
    // `decode` also encodes what it has read, which takes the frame's size a few times.
    let bytes_max = HEAP_FIXED_MAX + (HEAP_PER_BYTE_MAX + 4) * frame_bytes;
    assert!(
        heap.bytes_peak <= bytes_max,
        "{name}: {} bytes of heap for a frame of {frame_bytes}, at most {bytes_max}",
        heap.bytes_peak
    );
    result
}

#[test]
fn every_truncation_of_every_vector_is_an_error() {
    for vector in vectors::frames() {
        let frame = vector.frame();
        for length in 0..frame.len() {
            let cut = frame.slice(..length);
            let result = decode_bounded(&vector.name, vector.kind, vector.api, cut);
            assert!(result.is_err(), "{} cut to {length} bytes was taken", vector.name);
        }
    }
}

#[test]
fn a_byte_too_many_is_an_error() {
    for vector in vectors::frames() {
        let mut frame = vector.frame().to_vec();
        frame.push(0);
        let result = decode_bounded(&vector.name, vector.kind, vector.api, frame.into());
        assert!(matches!(result, Err(DecodeError::Trailing { left: 1, .. })), "{}", vector.name);
    }
}

#[test]
fn every_change_of_one_byte_is_an_error_or_another_value() {
    let mut refused = 0_u64;
    let mut taken = 0_u64;
    for vector in vectors::frames() {
        let mut frame = vector.frame().to_vec();
        for place in 0..frame.len() {
            let good = frame[place];
            for change in 1..=u8::MAX {
                frame[place] = good ^ change;
                let changed = Bytes::copy_from_slice(&frame);
                let result = decode_bounded(&vector.name, vector.kind, vector.api, changed.clone());
                if result.is_ok() {
                    taken += 1;
                    assert_one_form(vector.kind, vector.api, &changed);
                } else {
                    refused += 1;
                }
            }
            frame[place] = good;
        }
    }
    assert!(refused > 10_000 && taken > 10_000, "{refused} refused, {taken} taken");
}

/// A value has one form: what a request decodes to, encodes to the same bytes.
fn assert_one_form(kind: Kind, api: u16, frame: &Bytes) {
    // An answer's reader drops tagged fields that it does not know.
    if kind == Kind::Request {
        assert_eq!(echo(kind, api, frame.clone()).unwrap()[4..], frame[..]);
    }
}

#[test]
fn every_four_bytes_replaced_by_a_large_count_stay_within_bounds() {
    for vector in vectors::frames() {
        let good = vector.frame();
        for place in 0..good.len().saturating_sub(3) {
            for count in [u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 24, 1 << 16, 1 << 10] {
                let mut frame = good.to_vec();
                frame[place..place + 4].copy_from_slice(&count.to_be_bytes());
                let _ = decode_bounded(&vector.name, vector.kind, vector.api, frame.into());
            }
        }
    }
}

#[test]
fn random_bytes_stay_within_bounds() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let length = random.usize(0..600);
        // Mostly small bytes: they make small counts, which lead deeper.
        let frame: Vec<u8> = (0..length)
            .map(|_| if random.u8(0..8) == 0 { random.u8(..) } else { random.u8(0..3) })
            .collect();
        let api = Api::ALL[round % Api::ALL.len()].number();
        let kind = if random.bool() { Kind::Request } else { Kind::Response };
        let _ = decode_bounded("random bytes", kind, api, frame.into());
    }
}

/// A request to delete topics with `count` empty names, then `rest`.
fn empty_names(count: usize, rest: &[u8]) -> Bytes {
    let mut frame = vec![0, 11, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
    frame.resize(frame.len() + 2 * count, 0);
    frame.extend_from_slice(rest);
    frame.into()
}

#[test]
fn the_element_with_the_worst_ratio_stays_within_bounds() {
    for count in [1, 1000, 1_000_000] {
        let frame = empty_names(count, &[]);
        decode_bounded("empty names", Kind::Request, 11, frame).unwrap();
    }
}

#[test]
fn a_frame_with_more_elements_than_the_limit_is_refused_before_they_are_made() {
    let frame = empty_names(ELEMENTS_MAX + 1, &[]);
    let (result, heap) = measure(|| decode(Kind::Request, 11, frame));
    let what = "DeleteTopicsRequest.names";
    let expected = DecodeError::Elements { what, count: ELEMENTS_MAX + 1, left: ELEMENTS_MAX };
    assert_eq!(result, Err(expected));
    assert!(heap.bytes_peak < 4096, "{heap:?}");
}

#[test]
fn a_count_beyond_the_frame_is_refused_at_once_with_its_numbers() {
    let mut frame = empty_names(3, &[]).to_vec();
    frame[17] = 4;
    let (result, heap) = measure(|| decode(Kind::Request, 11, frame.into()));
    let what = "DeleteTopicsRequest.names";
    assert_eq!(result, Err(DecodeError::Count { what, count: 4, left: 6 }));
    assert!(heap.bytes_peak < 4096, "{heap:?}");
}

#[test]
fn the_count_of_tagged_fields_is_bounded_by_the_frame() {
    let frame = Bytes::from_static(&[0, 11, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    let what = "RequestHeader.tags";
    assert_eq!(
        decode(Kind::Request, 11, frame),
        Err(DecodeError::Count { what, count: 0xffff, left: 4 })
    );
}

#[test]
fn the_allocator_counts() {
    let (_, heap) = measure(|| vec![0_u8; 100_000]);
    assert_eq!((heap.allocations, heap.bytes_peak), (1, 100_000));
}
