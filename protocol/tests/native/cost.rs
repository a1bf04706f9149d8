//! What the hot messages cost: records are never copied, and memory is asked for a few times per request.

use bytes::Bytes;
use thalweg_counting::{Heap, measure};
use thalweg_protocol::frame::{
    FrameReader, decode_body, decode_request_header, decode_response_header, request_frame,
    response_frame,
};
use thalweg_protocol::native::{
    FetchResponse, ProduceRequest, Request, RequestHeader, ResponseHeader, Tags,
};

use crate::samples;

const BATCH_BYTES: usize = 1 << 20;

fn batch() -> Bytes {
    Bytes::from(vec![7; BATCH_BYTES])
}

fn header() -> RequestHeader {
    let api = ProduceRequest::API.number();
    RequestHeader { api, version: 0, correlation: 1, timeout_ms: 0, tags: Tags::default() }
}

fn check(what: &str, heap: Heap, allocations_max: usize) {
    assert!(heap.allocations <= allocations_max, "{what}: {heap:?}");
    assert!(heap.bytes_peak < 4096, "{what}: {heap:?}");
}

#[test]
fn a_batch_is_sent_without_a_copy() {
    let (request, _) = samples::produce(batch());
    let (chunks, heap) = measure(|| request_frame(&header(), &request));
    check("produce request", heap, 4);
    assert_eq!(chunks.iter().map(Bytes::len).max(), Some(BATCH_BYTES));

    let (_, response) = samples::fetch(batch());
    let (_, heap) = measure(|| response_frame(&ResponseHeader::ok(1), Some(&response)));
    check("fetch response", heap, 6);
}

#[test]
fn a_batch_is_received_without_a_copy() {
    let (request, _) = samples::produce(batch());
    let frame: Bytes = request_frame(&header(), &request).concat().into();
    let ((), heap) = measure(|| {
        let (_, body) = decode_request_header(frame.slice(4..)).unwrap();
        let decoded = decode_body::<ProduceRequest>(body).unwrap();
        let records = &decoded.topics[0].partitions[0].records;
        assert_eq!(records.as_ptr(), frame[frame.len() - BATCH_BYTES..].as_ptr());
    });
    // Two lists, and the counter of those who share the frame.
    check("produce request", heap, 3);

    let (_, response) = samples::fetch(batch());
    let frame: Bytes = response_frame(&ResponseHeader::ok(1), Some(&response)).concat().into();
    let ((), heap) = measure(|| {
        let (_, body) = decode_response_header(frame.slice(4..)).unwrap();
        decode_body::<FetchResponse>(body).unwrap();
    });
    // The same, and the sentences of two errors.
    check("fetch response", heap, 5);
}

#[test]
fn small_frames_are_cut_from_their_chunk_without_asking_for_memory() {
    let mut stream = Vec::new();
    for number in 0..1000_u32 {
        stream.extend_from_slice(&16_u32.to_be_bytes());
        stream.extend_from_slice(&[number.to_be_bytes(); 4].concat());
    }
    let mut frames = FrameReader::new(1 << 20);
    let (count, heap) = measure(|| {
        frames.buffer().extend_from_slice(&stream);
        let mut count = 0;
        while let Some(frame) = frames.next_frame().unwrap() {
            assert_eq!(frame.len(), 16);
            count += 1;
        }
        count
    });
    assert_eq!(count, 1000);
    // The chunk, and the counter of those who share it.
    assert!(heap.allocations <= 2, "{heap:?}");
}
