//! What stands before every body: correlation, deadline, throttling, errors, tagged fields.

use bytes::Bytes;

use super::wire::message;
use super::{ApiError, Wire};
use crate::codec::{DecodeError, Reader, Writer};

/// The first bytes on a native connection, before the first frame: `THLW` and the major version.
///
/// Read as Kafka's frame length they would announce 1.4 GB, so one port can serve both protocols.
pub const PREFACE: [u8; 6] = *b"THLW\x00\x01";

message! {
    /// One tagged field: its number, and bytes that only those look into who know the number.
    pub struct Tag {
        /// The number.
        pub number: u16,
        /// The value.
        pub value: Bytes,
    }
}

/// Tagged fields: what a later release says in a header without a new version. Unknown ones are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// Fewest bytes of one field: number and length.
    const TAG_BYTES_MIN: usize = 6;

    /// The value of field `number`.
    pub fn get(&self, number: u16) -> Option<&Bytes> {
        self.0.iter().find(|tag| tag.number == number).map(|tag| &tag.value)
    }

    /// Adds a field.
    pub fn push(&mut self, number: u16, value: Bytes) {
        self.0.push(Tag { number, value });
    }
}

/// A `u16` count and the fields.
impl Wire for Tags {
    const BYTES_MIN: usize = 2;

    fn encode(&self, writer: &mut Writer) {
        let count = u16::try_from(self.0.len()).expect("headers carry a handful of tagged fields");
        writer.u16(count);
        for tag in &self.0 {
            tag.encode(writer);
        }
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u16(what)?);
        let left = reader.remaining();
        if count > left / Self::TAG_BYTES_MIN {
            return Err(DecodeError::Count { what, count, left });
        }
        (0..count).map(|_| Tag::decode(reader, what)).collect::<Result<_, _>>().map(Self)
    }
}

message! {
    /// Stands before the body of a request.
    pub struct RequestHeader {
        /// The kind of request; see [`super::Api`].
        pub api: u16,
        /// The version of the body.
        pub version: u16,
        /// Comes back in the answer; answers may come out of order.
        pub correlation: u32,
        /// How long the client waits, in milliseconds from the arrival; 0 leaves it to the broker.
        pub timeout_ms: u32,
        /// Fields of later releases.
        pub tags: Tags,
    }
}

/// Stands before the body of an answer. An answer with an error has no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation: u32,
    /// How long the client should hold back its next request, in milliseconds; 0 almost always.
    pub throttle_ms: u32,
    /// Why the request as a whole failed; tagged field 0.
    pub error: Option<ApiError>,
}

impl ResponseHeader {
    /// The tagged field that carries [`Self::error`].
    const ERROR_TAG: u16 = 0;

    /// The header of a good answer.
    pub const fn ok(correlation: u32) -> Self {
        Self { correlation, throttle_ms: 0, error: None }
    }

    /// The header of an answer that consists of an error.
    pub const fn failed(correlation: u32, error: ApiError) -> Self {
        Self { correlation, throttle_ms: 0, error: Some(error) }
    }
}

impl Wire for ResponseHeader {
    const BYTES_MIN: usize = 10;

    fn encode(&self, writer: &mut Writer) {
        self.correlation.encode(writer);
        self.throttle_ms.encode(writer);
        let mut tags = Tags::default();
        if let Some(error) = &self.error {
            let mut value = Writer::new();
            error.encode(&mut value);
            tags.push(Self::ERROR_TAG, value.into_bytes());
        }
        tags.encode(writer);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let correlation = u32::decode(reader, what)?;
        let throttle_ms = u32::decode(reader, what)?;
        let tags = Tags::decode(reader, what)?;
        let error = tags
            .get(Self::ERROR_TAG)
            .map(|value| ApiError::decode(&mut Reader::new(value.clone()), what))
            .transpose()?;
        Ok(Self { correlation, throttle_ms, error })
    }
}
