//! Variable-length integers as in Kafka's record format: 7 bits a byte, least significant first; signed
//! ones zigzag-coded.
//!
//! Decoding takes the value off the front of a slice and answers `None` when the bytes end within it or
//! when it does not fit its type; the slice is then left where it was.

/// The longest form of a 32-bit integer, in bytes.
pub const I32_BYTES_MAX: usize = 5;
/// The longest form of a 64-bit integer, in bytes.
pub const I64_BYTES_MAX: usize = 10;

/// Takes an unsigned 64-bit integer off the front of `bytes`.
#[inline]
pub fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    match take_short(bytes) {
        None => take_long(bytes),
        short => short,
    }
}

/// Takes a zigzag-coded 64-bit integer off the front of `bytes`.
#[inline]
pub fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    take_u64(bytes).map(unzigzag)
}

/// Takes a zigzag-coded 32-bit integer off the front of `bytes`; `None` also when it is longer than
/// five bytes or passes 32 bits.
#[inline]
pub fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let value = match take_short(bytes) {
        None => take_long_i32(bytes)?,
        Some(short) => unzigzag(short),
    };
    i32::try_from(value).ok()
}

/// How many bytes the zigzag-coded `value` takes.
#[inline]
pub const fn i64_bytes(value: i64) -> usize {
    u64_bytes(zigzag(value))
}

/// How many bytes the unsigned `value` takes.
#[inline]
pub const fn u64_bytes(value: u64) -> usize {
    // Bytes by significant bits: 0 and 1..=7 take one, 8..=14 two, ... 64 ten.
    const BYTES: [usize; 65] = {
        let mut table = [1; 65];
        let mut bits: usize = 1;
        while bits <= 64 {
            table[bits] = bits.div_ceil(7);
            bits += 1;
        }
        table
    };
    BYTES[(u64::BITS - value.leading_zeros()) as usize]
}

/// Writes the zigzag-coded `value` at the front of `out`; answers how many bytes it took.
///
/// # Panics
/// When `out` is shorter than the value; [`I64_BYTES_MAX`] is always enough.
#[inline]
pub fn put_i64(out: &mut [u8], value: i64) -> usize {
    put_u64(out, zigzag(value))
}

/// Writes the unsigned `value` at the front of `out`; answers how many bytes it took.
///
/// # Panics
/// When `out` is shorter than the value; [`I64_BYTES_MAX`] is always enough.
#[inline]
#[expect(clippy::indexing_slicing, reason = "a buffer that is too short is the caller's mistake")]
pub fn put_u64(out: &mut [u8], mut value: u64) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        out[at] = low_seven(value) | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = low_seven(value);
    at + 1
}

#[inline]
fn low_seven(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

/// An integer of one or two bytes: nearly all of them, so this is worth having inline.
#[inline]
fn take_short(bytes: &mut &[u8]) -> Option<u64> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Some(u64::from(first))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Some(u64::from(first & 0x7f) | u64::from(second) << 7)
        }
        _ => None,
    }
}

fn take_long_i32(bytes: &mut &[u8]) -> Option<i64> {
    let mut ahead = *bytes;
    let value = unzigzag(take_long(&mut ahead)?);
    if bytes.len() - ahead.len() > I32_BYTES_MAX || i32::try_from(value).is_err() {
        return None;
    }
    *bytes = ahead;
    Some(value)
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut ahead = *bytes;
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = ahead.split_first()?;
        ahead = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *bytes = ahead;
            return Some(value);
        }
    }
    None
}

#[inline]
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: i64) -> Vec<u8> {
        let mut out = [0; I64_BYTES_MAX];
        let length = put_i64(&mut out, value);
        assert_eq!(length, i64_bytes(value), "{value}");
        out[..length].to_vec()
    }

    #[test]
    fn values_have_the_bytes_that_the_format_says() {
        let table: [(i64, &[u8]); 8] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, bytes) in table {
            assert_eq!(put(value), bytes, "{value}");
        }
    }

    #[test]
    fn values_at_every_power_of_two_read_back() {
        for bit in 0..64 {
            let power = 1_i64 << bit;
            for value in [power, power.wrapping_sub(1), power.wrapping_neg(), power ^ 0x2a] {
                let bytes = put(value);
                let mut rest = bytes.as_slice();
                assert_eq!(take_i64(&mut rest), Some(value));
                assert!(rest.is_empty());
                let mut rest = bytes.as_slice();
                assert_eq!(take_i32(&mut rest), i32::try_from(value).ok());
            }
        }
    }

    #[test]
    fn a_cut_value_is_refused_and_nothing_is_taken() {
        let bytes = put(i64::MIN);
        for cut in 0..bytes.len() {
            let mut rest = &bytes[..cut];
            assert_eq!(take_i64(&mut rest), None);
            assert_eq!(rest.len(), cut);
        }
    }

    #[test]
    fn values_that_pass_their_type_are_refused() {
        let endless = [0xff; 32];
        assert_eq!(take_u64(&mut endless.as_slice()), None);
        assert_eq!(take_i32(&mut endless.as_slice()), None);
        // 2^64: one bit too many in the tenth byte.
        let wide = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        assert_eq!(take_u64(&mut wide.as_slice()), None);
        // i32::MAX + 1 in five bytes.
        let over = [0x80, 0x80, 0x80, 0x80, 0x10];
        assert_eq!(take_i32(&mut over.as_slice()), None);
        // Zero, padded to six bytes.
        let padded = [0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(take_i32(&mut padded.as_slice()), None);
        assert_eq!(take_i64(&mut padded.as_slice()), Some(0));
    }
}
