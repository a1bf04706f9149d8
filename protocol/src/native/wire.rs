//! How each type of field stands on the wire, and the macro that declares messages.

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, Writer};
use crate::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, GroupEpoch, LeaderEpoch, MemberEpoch,
    Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId,
};

/// A value that stands on the wire.
pub trait Wire: Sized {
    /// The fewest bytes that a value takes; bounds the counts of arrays.
    const BYTES_MIN: usize;

    /// Writes the value.
    fn encode(&self, writer: &mut Writer);

    /// Reads a value; `what` names the field in errors.
    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError>;
}

/// Declares a message or a part of one: the struct, and its [`Wire`] form, which is its fields in order.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)*
        }

        impl $crate::native::Wire for $name {
            const BYTES_MIN: usize = 0 $(+ <$kind as $crate::native::Wire>::BYTES_MIN)*;

            fn encode(&self, writer: &mut $crate::codec::Writer) {
                let _ = &writer;
                $($crate::native::Wire::encode(&self.$field, writer);)*
            }

            fn decode(
                reader: &mut $crate::codec::Reader,
                _what: &'static str,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let _ = &reader;
                Ok(Self {
                    $($field: $crate::native::Wire::decode(
                        reader,
                        concat!(stringify!($name), ".", stringify!($field)),
                    )?,)*
                })
            }
        }
    )+};
}
pub(super) use message;

/// Unsigned integers travel as they are.
macro_rules! unsigned {
    ($($kind:ident: $bytes:literal),*) => {$(
        impl Wire for $kind {
            const BYTES_MIN: usize = $bytes;

            fn encode(&self, writer: &mut Writer) {
                writer.$kind(*self);
            }

            fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
                reader.$kind(what)
            }
        }
    )*};
}
unsigned!(u8: 1, u16: 2, u32: 4, u64: 8);

/// Signed integers travel as two's complement.
macro_rules! signed {
    ($($kind:ident: $bytes:literal),*) => {$(
        impl Wire for $kind {
            const BYTES_MIN: usize = $bytes;

            fn encode(&self, writer: &mut Writer) {
                writer.put(&self.to_be_bytes());
            }

            fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
                reader.array(what).map($kind::from_be_bytes)
            }
        }
    )*};
}
signed!(i8: 1, i16: 2, i32: 4, i64: 8);

/// Newtypes over integers travel as the integer.
macro_rules! numbers {
    ($($name:ident($inner:ident)),* $(,)?) => {$(
        impl Wire for $name {
            const BYTES_MIN: usize = $inner::BYTES_MIN;

            fn encode(&self, writer: &mut Writer) {
                self.get().encode(writer);
            }

            fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
                $inner::decode(reader, what).map(Self::new)
            }
        }
    )*};
}
numbers! {
    BrokerEpoch(i64), BrokerId(i32), GroupEpoch(i32), LeaderEpoch(i32), MemberEpoch(i32),
    Offset(i64), PartitionIndex(i32), ProducerEpoch(i16), ProducerId(i64), TimestampMs(i64),
}

/// UUIDs travel as their 16 bytes.
macro_rules! uniques {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            const BYTES_MIN: usize = 16;

            fn encode(&self, writer: &mut Writer) {
                writer.put(self.as_bytes());
            }

            fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
                reader.array(what).map(Self::from_bytes)
            }
        }
    )*};
}
uniques!(TopicId, DirectoryId, ClusterId);

impl Wire for bool {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        writer.u8(u8::from(*self));
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match reader.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::Value { what, found: i64::from(found) }),
        }
    }
}

impl Wire for String {
    const BYTES_MIN: usize = 2;

    fn encode(&self, writer: &mut Writer) {
        writer.text(self);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        reader.text(what)
    }
}

impl Wire for Bytes {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        reader.bytes(what)
    }
}

/// One byte, 0 or 1, says whether the value follows.
impl<T: Wire> Wire for Option<T> {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        self.is_some().encode(writer);
        if let Some(value) = self {
            value.encode(writer);
        }
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        bool::decode(reader, what)?.then(|| T::decode(reader, what)).transpose()
    }
}

/// Room for so many elements of an array is made on the word of its count.
const ELEMENTS_AT_ONCE_MAX: usize = 64;

/// A `u32` count and the elements.
impl<T: Wire> Wire for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.count(self.len());
        for element in self {
            element.encode(writer);
        }
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        const { assert!(T::BYTES_MIN > 0, "an element without bytes would leave its count unbounded") };
        let count = reader.count(T::BYTES_MIN, what)?;
        // An element can be larger in memory than on the wire, so room is made as elements arrive.
        let mut elements = Self::with_capacity(count.min(ELEMENTS_AT_ONCE_MAX));
        for _ in 0..count {
            elements.push(T::decode(reader, what)?);
        }
        Ok(elements)
    }
}

message! {
    /// What went wrong with one topic or partition of a request: a code to act on, a sentence to read.
    #[derive(thiserror::Error)]
    #[error("{message}")]
    pub struct ApiError {
        /// What to act on.
        pub code: ErrorCode,
        /// What was tried, where, and with which numbers.
        pub message: String,
    }
}

impl ApiError {
    /// An error with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Wire for ErrorCode {
    const BYTES_MIN: usize = 2;

    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.number());
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match reader.u16(what)? {
            0 => Err(DecodeError::Value { what, found: 0 }),
            number => Ok(Self::from_number(number)),
        }
    }
}
