//! Each value comes out as it stands, and nothing is read or believed beyond the bytes that are there.

use super::*;

fn reader(bytes: &'static [u8]) -> Reader {
    Reader::new(Bytes::from_static(bytes))
}

#[test]
fn numbers_are_big_endian() {
    let mut reader = reader(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(reader.u8("a"), Ok(1));
    assert_eq!(reader.u16("b"), Ok(0x0203));
    assert_eq!(reader.u32("c"), Ok(0x0405_0607));
    assert_eq!(reader.u64("d"), Ok(0x0809_0a0b_0c0d_0e0f));
    assert_eq!(reader.finish("all"), Ok(()));
}

#[test]
fn every_value_that_is_cut_short_says_what_is_missing() {
    let short = |what, needed, left| Err(DecodeError::Short { what, needed, left });
    assert_eq!(reader(&[]).u8("a").map(u64::from), short("a", 1, 0));
    assert_eq!(reader(&[0]).u16("b").map(u64::from), short("b", 2, 1));
    assert_eq!(reader(&[0; 3]).u32("c").map(u64::from), short("c", 4, 3));
    assert_eq!(reader(&[0; 7]).u64("d"), short("d", 8, 7));
    let bytes = reader(&[0, 0, 0, 3, 1, 2]).bytes("e");
    assert_eq!(bytes.map(|_| 0), short("e", 3, 2));
    let text = reader(&[0, 2, b'a']).text("f");
    assert_eq!(text.map(|_| 0), short("f", 2, 1));
}

#[test]
fn a_value_that_is_cut_short_takes_nothing() {
    let mut reader = reader(&[7, 8]);
    assert!(reader.u32("a").is_err());
    assert_eq!(reader.u16("b"), Ok(0x0708));
}

#[test]
fn byte_ranges_are_slices_of_the_buffer() {
    let buffer = Bytes::from(vec![0, 0, 0, 2, 8, 9, 5]);
    let mut reader = Reader::new(buffer.clone());
    let range = reader.bytes("range").unwrap();
    assert_eq!(range.as_ptr(), buffer.slice(4..).as_ptr());
    assert_eq!(&range[..], &[8, 9]);
    assert_eq!(reader.remaining(), 1);
}

#[test]
fn the_largest_length_is_refused_and_not_allocated() {
    let error = reader(&[0xff, 0xff, 0xff, 0xff, 1]).bytes("range").unwrap_err();
    assert_eq!(error, DecodeError::Short { what: "range", needed: 0xffff_ffff, left: 1 });
}

#[test]
fn a_count_is_bounded_by_the_bytes_that_follow() {
    assert_eq!(reader(&[0, 0, 0, 2, 0, 0, 0, 0]).count(2, "list"), Ok(2));
    assert_eq!(
        reader(&[0, 0, 0, 3, 0, 0, 0, 0]).count(2, "list"),
        Err(DecodeError::Count { what: "list", count: 3, left: 4 })
    );
    assert_eq!(
        reader(&[0, 0, 0, 5, 0, 0, 0, 0]).count(0, "elements without bytes count as one byte"),
        Err(DecodeError::Count {
            what: "elements without bytes count as one byte",
            count: 5,
            left: 4
        })
    );
}

#[test]
fn the_counts_of_one_reader_share_a_limit() {
    let mut bytes = vec![0; 4 + ELEMENTS_MAX];
    bytes[..4].copy_from_slice(&u32::try_from(ELEMENTS_MAX).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0]);
    let mut reader = Reader::new(bytes.into());
    assert_eq!(reader.count(1, "first"), Ok(ELEMENTS_MAX));
    assert!(reader.take(ELEMENTS_MAX, "elements").is_ok());
    assert_eq!(
        reader.count(1, "second"),
        Err(DecodeError::Elements { what: "second", count: 1, left: 0 })
    );
}

#[test]
fn text_is_utf_8_and_nothing_else() {
    assert_eq!(reader(&[0, 2, 0xc3, 0xa4]).text("name"), Ok("ä".to_owned()));
    assert_eq!(reader(&[0, 1, 0xc3]).text("name"), Err(DecodeError::Text { what: "name" }));
}

#[test]
fn bytes_left_over_are_told() {
    assert_eq!(reader(&[1, 2]).finish("all"), Err(DecodeError::Trailing { what: "all", left: 2 }));
}

#[test]
fn errors_say_the_field_and_the_numbers() {
    let error = DecodeError::Count { what: "FetchRequest.topics", count: 9, left: 4 };
    assert_eq!(
        error.to_string(),
        "FetchRequest.topics: count 9 cannot fit in the 4 bytes that follow"
    );
    let error = DecodeError::Value { what: "ProduceRequest.acks", found: 5 };
    assert_eq!(error.to_string(), "ProduceRequest.acks: 5 is not allowed");
}
