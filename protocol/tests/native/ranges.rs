//! Choices stand on the wire as the document says, and values outside of a field's range are refused.

use std::fmt::Debug;

use bytes::Bytes;
use thalweg_protocol::codec::{DecodeError, Reader, Writer};
use thalweg_protocol::native::{
    Acks, Api, ApiError, ConfigSource, GroupKind, GroupState, OffsetQuery, Purpose, RequestHeader,
    Tags, Wire,
};
use thalweg_protocol::{ErrorCode, TimestampMs};

fn decode<T: Wire>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let value = T::decode(&mut reader, "field")?;
    reader.finish("field")?;
    Ok(value)
}

fn encode(value: &impl Wire) -> Bytes {
    let mut writer = Writer::new();
    value.encode(&mut writer);
    writer.into_bytes()
}

fn stands_as<T: Wire + PartialEq + Debug>(value: T, bytes: &[u8]) {
    assert_eq!(encode(&value)[..], *bytes, "{value:?}");
    assert_eq!(decode(bytes), Ok(value));
}

fn refused<T: Wire + PartialEq + Debug>(bytes: &[u8], found: i64) {
    assert_eq!(decode::<T>(bytes), Err(DecodeError::Value { what: "field", found }));
}

#[test]
fn choices_stand_as_documented() {
    stands_as(Acks::None, &[0]);
    stands_as(Acks::Leader, &[1]);
    stands_as(Acks::All, &[0xff]);
    stands_as(Purpose::Data, &[0]);
    stands_as(Purpose::Control, &[1]);
    stands_as(ConfigSource::Default, &[0]);
    stands_as(ConfigSource::Topic, &[1]);
    stands_as(ConfigSource::Broker, &[2]);
    stands_as(GroupKind::Consumer, &[0]);
    stands_as(GroupKind::Classic, &[1]);
    for (number, state) in (0..).zip(GroupState::ALL) {
        stands_as(state, &[number]);
    }
    stands_as(OffsetQuery::Latest, &[0xff; 8]);
    stands_as(OffsetQuery::Earliest, &(-2_i64).to_be_bytes());
    stands_as(OffsetQuery::MaxTimestamp, &(-3_i64).to_be_bytes());
    stands_as(OffsetQuery::AtOrAfter(TimestampMs::new(0)), &[0; 8]);
    stands_as(OffsetQuery::AtOrAfter(TimestampMs::new(i64::MAX)), &i64::MAX.to_be_bytes());
}

#[test]
fn optional_values_and_truths_are_0_or_1() {
    stands_as(None::<u16>, &[0]);
    stands_as(Some(7_u16), &[1, 0, 7]);
    stands_as(Some(vec![true, false]), &[1, 0, 0, 0, 2, 1, 0]);
    refused::<bool>(&[2], 2);
    refused::<Option<u16>>(&[2, 0, 7], 2);
    refused::<Option<u16>>(&[255, 0, 7], 255);
}

#[test]
fn choices_that_do_not_exist_are_refused() {
    refused::<Acks>(&[2], 2);
    refused::<Acks>(&[0xfe], -2);
    refused::<Purpose>(&[2], 2);
    refused::<ConfigSource>(&[3], 3);
    refused::<GroupKind>(&[2], 2);
    refused::<GroupState>(&[4], 4);
    refused::<OffsetQuery>(&(-4_i64).to_be_bytes(), -4);
    refused::<OffsetQuery>(&i64::MIN.to_be_bytes(), i64::MIN);
}

#[test]
fn no_error_has_code_0_and_unknown_codes_come_through() {
    refused::<ErrorCode>(&[0, 0], 0);
    stands_as(ErrorCode::Unknown(999), &[3, 231]);
    stands_as(ApiError::new(ErrorCode::TimedOut, "t"), &[0, 8, 0, 1, b't']);
}

#[test]
fn an_error_may_carry_more_in_a_later_release() {
    // Response header: correlation 1, no throttling, tagged field 0 with two bytes behind the message.
    let bytes = [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7, 0, 8, 0, 1, b't', 9, 9];
    let header = decode::<thalweg_protocol::native::ResponseHeader>(&bytes).unwrap();
    assert_eq!(header.error, Some(ApiError::new(ErrorCode::TimedOut, "t")));
}

#[test]
fn tagged_fields_stand_between_header_and_body() {
    let mut tags = Tags::default();
    tags.push(258, Bytes::from_static(b"ab"));
    let header = RequestHeader { api: 1, version: 2, correlation: 3, timeout_ms: 4, tags };
    let expected = [0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 1, 1, 2, 0, 0, 0, 2, b'a', b'b'];
    stands_as(header, &expected);
}

#[test]
fn requests_read_back_from_their_number_and_have_names_in_snake_case() {
    for api in Api::ALL {
        assert_eq!(Api::from_number(api.number()), Some(*api));
        let camel: String =
            api.name().split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert_eq!(camel, format!("{api:?}"));
        assert_eq!(api.range().api, api.number());
    }
    assert_eq!(Api::from_number(0), None);
    assert_eq!(Api::from_number(u16::MAX), None);
}
