//! Frames come out whole and in order however their bytes arrive, and memory follows the bytes.

use super::*;
use crate::native::{ApiError, DeleteTopicsRequest, PREFACE};
use crate::{ErrorCode, native};

fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn frames_come_out_whole_however_the_bytes_arrive() {
    let bodies: Vec<Vec<u8>> = [0, 1, 3, 900, 70_000, 5].map(|length| vec![7; length]).into();
    let stream: Vec<u8> = bodies.iter().flat_map(|body| prefixed(body)).collect();
    for step in [1, 2, 5, 4096, stream.len()] {
        let mut frames = FrameReader::new(100_000);
        let mut found = Vec::new();
        for piece in stream.chunks(step) {
            frames.buffer().extend_from_slice(piece);
            while let Some(frame) = frames.next_frame().unwrap() {
                found.push(frame.to_vec());
            }
        }
        assert_eq!(found, bodies, "in steps of {step}");
        assert_eq!(frames.buffered_bytes(), 0);
    }
}

#[test]
fn frames_share_the_buffer() {
    let mut frames = FrameReader::new(100);
    frames.buffer().extend_from_slice(&prefixed(b"abc"));
    let start = frames.peek().as_ptr();
    let frame = frames.next_frame().unwrap().unwrap();
    assert_eq!(frame.as_ptr(), start.wrapping_add(LENGTH_BYTES));
}

#[test]
fn a_length_above_the_limit_is_refused_before_room_is_made() {
    let mut frames = FrameReader::new(100_000);
    frames.buffer().extend_from_slice(&100_001_u32.to_be_bytes());
    let capacity = frames.buffer().capacity();
    assert!(capacity <= 2 * READ_BYTES, "{capacity}");
    let error = frames.next_frame().unwrap_err();
    assert_eq!(error, FrameError::TooLarge { length: 100_001, bytes_max: 100_000 });
    assert_eq!(error.to_string(), "frame of 100001 bytes announced, at most 100000 are taken");
    frames.set_bytes_max(100_001);
    assert_eq!(frames.next_frame(), Ok(None));
    assert_eq!(frames.announced_bytes(), 100_001);
}

#[test]
fn a_length_above_the_limit_makes_no_room() {
    let mut frames = FrameReader::new(1 << 20);
    frames.buffer().extend_from_slice(&u32::MAX.to_be_bytes());
    let before = frames.buffer.capacity();
    frames.buffer().resize(before - 20_000, 0);
    assert_eq!(frames.buffer().capacity(), before);
}

#[test]
fn before_the_handshake_a_reader_holds_8_kib() {
    let mut frames = FrameReader::new(HANDSHAKE_BYTES_MAX);
    assert_eq!(frames.buffer().capacity(), HANDSHAKE_BYTES_MAX + PREFACE.len() + LENGTH_BYTES);
    frames.set_bytes_max(1 << 20);
    frames.release();
    assert_eq!(frames.buffer().capacity(), READ_BYTES);
}

#[test]
fn room_for_a_large_frame_grows_as_its_bytes_arrive() {
    let length = 64 * 1024 * 1024;
    let mut frames = FrameReader::new(length);
    frames.buffer().extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    let mut arrived = LENGTH_BYTES;
    while arrived < length / 2 {
        let buffer = frames.buffer();
        let spare = buffer.capacity() - buffer.len();
        assert!(spare > 0);
        assert!(spare <= arrived + GROWTH_BYTES_MAX + READ_BYTES, "{spare} after {arrived}");
        let piece = spare.min(300_000);
        buffer.resize(buffer.len() + piece, 1);
        arrived += piece;
        assert_eq!(frames.next_frame(), Ok(None));
    }
}

#[test]
fn a_frame_up_to_a_mebibyte_gets_its_room_at_once() {
    let mut frames = FrameReader::new(8 << 20);
    let length = GROWTH_BYTES_MAX - 1000;
    frames.buffer().extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    let place = frames.buffer().as_ptr();
    let room = frames.buffer().capacity();
    assert!((LENGTH_BYTES + length..=LENGTH_BYTES + GROWTH_BYTES_MAX).contains(&room), "{room}");
    while frames.next_frame().unwrap().is_none() {
        assert_eq!(frames.peek().as_ptr(), place);
        frames.buffer().extend_from_slice(&[0; 4096]);
    }
}

#[test]
fn release_gives_memory_back_and_keeps_what_arrived() {
    let mut frames = FrameReader::new(1 << 20);
    frames.buffer().extend_from_slice(&[0, 0, 0, 9, 1, 2]);
    frames.release();
    assert_eq!(frames.peek(), &[0, 0, 0, 9, 1, 2]);
    assert!(frames.buffer.capacity() < 1000);
    frames.skip(6);
    assert!(frames.buffer().capacity() > 1000);
    frames.release();
    assert_eq!(frames.buffer.capacity(), 0);
}

#[test]
fn a_frame_carries_its_length_whether_ranges_are_shared_or_not() {
    let large = Bytes::from(vec![9; 5000]);
    for (large_count, chunk_count) in [(0, 1), (1, 2), (3, 6)] {
        let chunks = frame(|writer| {
            for _ in 0..large_count {
                writer.bytes(&large);
            }
            if large_count != 1 {
                writer.u16(513);
            }
        });
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert_eq!(chunks.len(), chunk_count + usize::from(large_count == 3));
        assert_eq!(
            chunks.iter().filter(|chunk| chunk.as_ptr() == large.as_ptr()).count(),
            large_count
        );
        let bytes = chunks.concat();
        assert_eq!(bytes[..4], u32::try_from(bytes.len() - 4).unwrap().to_be_bytes());
    }
}

#[test]
fn requests_and_answers_pass_through_a_frame_reader() {
    let header = RequestHeader {
        api: 11,
        version: 0,
        correlation: 77,
        timeout_ms: 1000,
        tags: native::Tags::default(),
    };
    let body = DeleteTopicsRequest { names: vec!["a".to_owned()] };
    let mut frames = FrameReader::new(1000);
    for chunk in request_frame(&header, &body) {
        frames.buffer().extend_from_slice(&chunk);
    }
    let (read, reader) = decode_request_header(frames.next_frame().unwrap().unwrap()).unwrap();
    assert_eq!(read, header);
    assert_eq!(decode_body::<DeleteTopicsRequest>(reader), Ok(body));

    let failed = ResponseHeader::failed(77, ApiError::new(ErrorCode::Overloaded, "64 in flight"));
    for chunk in error_frame(&failed) {
        frames.buffer().extend_from_slice(&chunk);
    }
    let (read, reader) = decode_response_header(frames.next_frame().unwrap().unwrap()).unwrap();
    assert_eq!(read, failed);
    assert_eq!(reader.remaining(), 0);
}

#[test]
fn a_body_with_bytes_left_over_is_refused_by_its_name() {
    let reader = Reader::new(Bytes::from_static(&[0, 0, 0, 0, 1]));
    let error = decode_body::<DeleteTopicsRequest>(reader).unwrap_err();
    assert_eq!(error.to_string(), "DeleteTopicsRequest: 1 bytes left over");
}

#[test]
fn the_first_bytes_tell_the_door() {
    let native = PREFACE;
    for count in 0..native.len() {
        assert_eq!(Door::detect(&native[..count]), Door::NotYet);
    }
    assert_eq!(Door::detect(&native), Door::Native { version: 1 });
    assert_eq!(Door::detect(b"THLW\x01\x02more"), Door::Native { version: 0x0102 });
    assert_eq!(Door::detect(&[0, 0, 0, 40]), Door::Kafka);
    assert_eq!(Door::detect(&[0x06, 0x40, 0, 0, 0]), Door::Kafka);
    assert_eq!(Door::detect(&[0x06, 0x40, 0, 1, 0]), Door::Unknown { first: [6, 0x40, 0, 1] });
    assert_eq!(Door::detect(&[0, 0, 0, 0]), Door::Unknown { first: [0; 4] });
    assert_eq!(Door::detect(b"GET / HTTP/1.1"), Door::Unknown { first: *b"GET " });
}

/// Has a frame of `bytes` bytes arrive in pieces of 10,000.
fn arrive(frames: &mut FrameReader, bytes: usize, filled: u8) -> Bytes {
    for piece in prefixed(&vec![filled; bytes]).chunks(10_000) {
        frames.buffer().extend_from_slice(piece);
    }
    frames.next_frame().unwrap().unwrap()
}

#[test]
fn a_trusted_peers_large_frame_gets_its_room_at_once() {
    let mut frames = FrameReader::new(1 << 24).trusting();
    frames.buffer().extend_from_slice(&prefixed(&vec![7; 4_000_000])[..100]);
    let capacity = frames.buffer().capacity();
    assert!((4_000_004..4_000_004 + 2 * WHOLE_STEP_BYTES).contains(&capacity), "{capacity}");
}

#[test]
fn large_frames_come_in_the_memory_of_those_that_nobody_holds() {
    let mut frames = FrameReader::new(1 << 24).trusting();
    let first = arrive(&mut frames, 2_000_000, 1);
    let place = first.as_ptr();
    // Held: it must not be written over.
    let second = arrive(&mut frames, 2_000_000, 2);
    assert_ne!(second.as_ptr(), place);
    assert!(first.iter().all(|byte| *byte == 1));
    drop(first);
    let third = arrive(&mut frames, 1_900_000, 3);
    assert_eq!(third.as_ptr(), place);
    assert!(second.iter().all(|byte| *byte == 2));
    assert!(third.iter().all(|byte| *byte == 3));
}

#[test]
fn memory_of_large_frames_is_given_back_when_small_ones_follow() {
    let mut frames = FrameReader::new(1 << 24).trusting();
    let held: Vec<Bytes> = (0..9).map(|_| arrive(&mut frames, 1_000_000, 1)).collect();
    assert!(held.iter().all(|frame| frame.len() == 1_000_000));
    let kept = frames.spares.as_ref().map(Spares::count);
    assert_eq!(kept, Some(4));
    for _ in 0..1_000 {
        drop(arrive(&mut frames, 1_000, 2));
    }
    assert_eq!(frames.spares.as_ref().map(Spares::count), Some(0));
}
