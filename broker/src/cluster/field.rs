//! How each type of field stands in a metadata record, and the macro that declares records by their fields.
//!
//! The form is the metadata's own and versioned apart from the native protocol's: what lies on disk must
//! not change because a message does.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_protocol::codec::{DecodeError, Reader, Writer};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName,
};

use super::image::{Partition, PartitionEpoch};

/// A value that stands in a metadata record.
pub(super) trait Field: Sized {
    /// The fewest bytes that a value takes; bounds the counts of lists.
    const BYTES_MIN: usize;

    /// Writes the value.
    fn encode(&self, writer: &mut Writer);

    /// Reads a value; `what` names the field in errors.
    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError>;
}

/// Declares structs whose stored form is their fields, in order.
macro_rules! fields {
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

        impl $crate::cluster::field::Field for $name {
            const BYTES_MIN: usize = 0 $(+ <$kind as $crate::cluster::field::Field>::BYTES_MIN)*;

            fn encode(&self, writer: &mut thalweg_protocol::codec::Writer) {
                $($crate::cluster::field::Field::encode(&self.$field, writer);)*
            }

            fn decode(
                reader: &mut thalweg_protocol::codec::Reader,
                _what: &'static str,
            ) -> Result<Self, thalweg_protocol::codec::DecodeError> {
                Ok(Self {
                    $($field: $crate::cluster::field::Field::decode(
                        reader,
                        concat!(stringify!($name), ".", stringify!($field)),
                    )?,)*
                })
            }
        }
    )+};
}
pub(super) use fields;

impl Field for u16 {
    const BYTES_MIN: usize = 2;

    fn encode(&self, writer: &mut Writer) {
        writer.u16(*self);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        reader.u16(what)
    }
}

/// Newtypes over signed integers stand as the integer, in two's complement.
macro_rules! numbers {
    ($($name:ident($inner:ident)),* $(,)?) => {$(
        impl Field for $name {
            const BYTES_MIN: usize = size_of::<$inner>();

            fn encode(&self, writer: &mut Writer) {
                writer.put(&self.get().to_be_bytes());
            }

            fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
                reader.array(what).map(|bytes| Self::new($inner::from_be_bytes(bytes)))
            }
        }
    )*};
}
numbers! {
    BrokerEpoch(i64), BrokerId(i32), LeaderEpoch(i32), PartitionEpoch(i32), PartitionIndex(i32),
    ProducerId(i64),
}

/// UUIDs stand as their 16 bytes.
macro_rules! uniques {
    ($($name:ident),*) => {$(
        impl Field for $name {
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

impl Field for bool {
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

/// A `u32` length and UTF-8: never cut, however long.
impl Field for String {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.count(self.len());
        writer.put(self.as_bytes());
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(what)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::Text { what }),
        }
    }
}

impl Field for TopicName {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.count(self.as_str().len());
        writer.put(self.as_str().as_bytes());
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let text = String::decode(reader, what)?;
        Self::new(&text).map_err(|_| DecodeError::Text { what })
    }
}

/// One byte, 0 or 1, says whether the value follows.
impl<T: Field> Field for Option<T> {
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

/// A `u32` count and the elements.
impl<T: Field> Field for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.count(self.len());
        for element in self {
            element.encode(writer);
        }
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let count = reader.count(T::BYTES_MIN, what)?;
        // An element can be larger in memory than on disk, so room is made as elements arrive.
        let mut elements = Self::new();
        for _ in 0..count {
            elements.push(T::decode(reader, what)?);
        }
        Ok(elements)
    }
}

/// A `u32` count, then key and value of each entry, in the order of the keys.
impl<V: Field> Field for BTreeMap<String, V> {
    const BYTES_MIN: usize = 4;

    fn encode(&self, writer: &mut Writer) {
        writer.count(self.len());
        for (key, value) in self {
            key.encode(writer);
            value.encode(writer);
        }
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        let count = reader.count(String::BYTES_MIN + V::BYTES_MIN, what)?;
        let mut entries = Self::new();
        for _ in 0..count {
            let key = String::decode(reader, what)?;
            entries.insert(key, V::decode(reader, what)?);
        }
        Ok(entries)
    }
}

impl Field for Arc<Partition> {
    const BYTES_MIN: usize = Partition::BYTES_MIN;

    fn encode(&self, writer: &mut Writer) {
        self.as_ref().encode(writer);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        Partition::decode(reader, what).map(Self::new)
    }
}
