//! Every message against its hand-made vector: the value encodes to these bytes, these bytes decode to it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchLimits, BatchReader, Scratch, check_produced};
use thalweg_protocol::frame::{
    Door, decode_body, decode_request_header, decode_response_header, error_frame, request_frame,
    response_frame,
};
use thalweg_protocol::native::{
    Api, ApiError, AuthenticateResponse, MetadataRequest, PREFACE, Request, RequestHeader,
    ResponseHeader, Tags,
};
use thalweg_protocol::{ErrorCode, LeaderEpoch, ProducerId, Sequence, TimestampMs};

use crate::group_samples;
use crate::samples;
use crate::vectors::{self, Kind};
use crate::whole::echo;

/// Compares both halves of a pair of messages with their vectors.
fn check<R>(pair: (R, R::Response))
where
    R: Request + PartialEq + Debug,
    R::Response: PartialEq + Debug,
{
    let number = R::API.number();
    let name = R::API.name();
    let request = vectors::named(&format!("{name}_request"));
    assert_eq!((request.kind, request.api), (Kind::Request, number));
    let header = RequestHeader {
        api: number,
        version: 0,
        correlation: u32::from(number) + 1000,
        timeout_ms: if R::API == Api::Handshake { 5000 } else { 30_000 },
        tags: Tags::default(),
    };
    assert_eq!(request_frame(&header, &pair.0).concat(), request.bytes, "{name}: request");
    let (found, body) = decode_request_header(request.frame()).unwrap();
    assert_eq!(found, header);
    assert_eq!(decode_body::<R>(body), Ok(pair.0));

    let response = vectors::named(&format!("{name}_response"));
    assert_eq!((response.kind, response.api), (Kind::Response, number));
    let header = ResponseHeader::ok(u32::from(number) + 1000);
    let frame = response_frame(&header, Some(&pair.1)).concat();
    assert_eq!(frame, response.bytes, "{name}: response");
    let (found, body) = decode_response_header(response.frame()).unwrap();
    assert_eq!(found, header);
    assert_eq!(decode_body::<R::Response>(body), Ok(pair.1));
}

/// The record batch whose length stands before byte `start` of a vector.
fn batch_in(name: &str, start: usize) -> Bytes {
    let bytes = vectors::named(name).bytes;
    let length = u32::from_be_bytes(*bytes[..start].last_chunk().unwrap());
    let batch = bytes.slice(start..start + usize::try_from(length).unwrap());
    assert_eq!(batch[16], 2, "{name}: no batch of magic 2 begins at byte {start}");
    batch
}

fn produced_batch() -> Bytes {
    batch_in("produce_request", 55)
}

fn fetched_batch() -> Bytes {
    batch_in("fetch_response", 73)
}

#[test]
fn the_requests_that_open_a_connection_match_their_vectors() {
    check(samples::handshake());
    check(samples::authenticate());
    check(samples::metadata());
    check(samples::describe_cluster());
}

#[test]
fn the_requests_about_topics_match_their_vectors() {
    check(samples::create_topics());
    check(samples::delete_topics());
    check(samples::alter_topics());
    check(samples::describe_topics());
    check(samples::compact_topics());
}

#[test]
fn the_requests_that_move_records_match_their_vectors() {
    check(samples::produce(produced_batch()));
    check(samples::fetch(fetched_batch()));
    check(samples::list_offsets());
    check(samples::init_producer());
    check(samples::leader_epoch());
    check(samples::delete_records());
}

#[test]
fn the_requests_about_groups_match_their_vectors() {
    check(group_samples::find_coordinator());
    check(group_samples::group_heartbeat());
    check(group_samples::commit_offsets());
    check(group_samples::fetch_offsets());
    check(group_samples::describe_groups());
    check(group_samples::list_groups());
    check(group_samples::delete_groups());
    check(group_samples::delete_offsets());
}

#[test]
fn a_fetched_batch_differs_from_the_produced_one_in_base_offset_and_leader_epoch_only() {
    let (produced, fetched) = (produced_batch(), fetched_batch());
    let differing: BTreeSet<usize> =
        (0..produced.len()).filter(|place| produced[*place] != fetched[*place]).collect();
    assert!(!differing.is_empty());
    assert!(differing.iter().all(|place| matches!(place, 0..8 | 12..16)), "{differing:?}");
    assert_eq!(fetched[..8], 40_i64.to_be_bytes());
    assert_eq!(fetched[12..16], 7_i32.to_be_bytes());
}

#[test]
fn the_batch_in_the_vectors_is_one_that_a_broker_takes_and_a_reader_understands() {
    let limits = BatchLimits {
        batch_bytes_max: 1 << 20,
        inflated_bytes_max: 1 << 20,
        ratio_max: 100,
        timestamp_max: TimestampMs::new(1_700_000_000_007),
        timestamp_min: TimestampMs::new(0),
        keys_required: false,
    };
    let header = check_produced(&produced_batch(), &limits, &mut Scratch::new()).unwrap();
    assert_eq!((header.producer, header.base_sequence), (ProducerId::new(4000), Sequence::FIRST));

    let batch = BatchReader::new(fetched_batch()).next().unwrap().unwrap();
    assert_eq!(batch.header.leader_epoch, LeaderEpoch::new(7));
    let records = batch.records().unwrap();
    let read: Vec<_> = records
        .iter()
        .map(|record| {
            let record = record.unwrap();
            let headers: Vec<_> =
                record.headers.iter().map(|header| (header.key_text(), header.value)).collect();
            format!(
                "{} {} {:?} {:?} {headers:?}",
                record.offset,
                record.timestamp,
                record.key.map(String::from_utf8_lossy),
                record.value.map(String::from_utf8_lossy)
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            r#"40 1700000000000 Some("net") Some("{\"mag\":4.1}") []"#,
            r#"41 1700000000005 None Some("no key") []"#,
            r#"42 1700000000007 Some("gone") None [("trace", Some([1, 2])), ("trace", None)]"#,
        ]
    );
}

#[test]
fn every_request_has_its_vectors_and_every_vector_its_line() {
    let vectors = vectors::all();
    for api in Api::ALL {
        for kind in [Kind::Request, Kind::Response] {
            let name = format!("{}_{}", api.name(), format!("{kind:?}").to_lowercase());
            let found = vectors.iter().find(|vector| vector.name == name);
            let vector = found.unwrap_or_else(|| panic!("{name}.hex is missing"));
            assert_eq!((vector.kind, vector.api), (kind, api.number()));
        }
    }
    let listed: BTreeSet<String> = vectors.iter().map(|v| format!("{}.hex", v.name)).collect();
    let present: BTreeSet<String> = fs::read_dir(vectors::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "manifest.txt")
        .collect();
    assert_eq!(listed, present);
}

#[test]
fn every_vector_has_one_form() {
    for vector in vectors::frames().iter().filter(|v| v.kind != Kind::ResponseNewer) {
        let echoed = echo(vector.kind, vector.api, vector.frame()).unwrap();
        assert_eq!(echoed, vector.bytes, "{}", vector.name);
    }
}

#[test]
fn lengths_count_what_follows_them() {
    for vector in vectors::frames() {
        let length = u32::from_be_bytes(*vector.bytes.first_chunk().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), vector.frame().len(), "{}", vector.name);
    }
}

#[test]
fn the_preface_opens_the_native_door() {
    let preface = vectors::named("preface").bytes;
    assert_eq!(preface[..], PREFACE);
    assert_eq!(Door::detect(&preface), Door::Native { version: 1 });
}

#[test]
fn unknown_tagged_fields_of_a_request_are_kept_apart_from_its_body() {
    let vector = vectors::named("header_request_tagged");
    let (header, body) = decode_request_header(vector.frame()).unwrap();
    assert_eq!((header.api, header.correlation, header.timeout_ms), (3, 7, 1500));
    assert_eq!(header.tags.get(9).unwrap()[..], [0xca, 0xfe]);
    assert_eq!(header.tags.get(300).unwrap()[..], []);
    assert_eq!(header.tags.get(0), None);
    let body = decode_body::<MetadataRequest>(body);
    assert_eq!(body, Ok(MetadataRequest { names: None, ids: vec![] }));
}

#[test]
fn unknown_tagged_fields_of_an_answer_are_skipped() {
    let vector = vectors::named("header_response_tagged");
    let (header, body) = decode_response_header(vector.frame()).unwrap();
    assert_eq!(header, ResponseHeader { correlation: 7, throttle_ms: 250, error: None });
    let expected = AuthenticateResponse { done: true, token: Bytes::new() };
    assert_eq!(decode_body(body), Ok(expected));
}

#[test]
fn an_answer_that_consists_of_an_error_matches_its_vector() {
    let vector = vectors::named("header_response_error");
    let message = "64 requests in flight, at most 64 are taken";
    let header = ResponseHeader::failed(8, ApiError::new(ErrorCode::Overloaded, message));
    assert_eq!(error_frame(&header).concat(), vector.bytes);
    let (found, body) = decode_response_header(vector.frame()).unwrap();
    assert_eq!(found, header);
    assert_eq!(body.remaining(), 0);
}
