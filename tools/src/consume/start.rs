//! Where `consume` begins, as it is written: a word, an offset, a moment, or how long ago.

use std::str::FromStr;
use std::time::Duration;

use thalweg_client::{Offset, StartAt, TimestampMs};

use crate::timestamp;
use crate::values;

/// Where to begin to read each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartFrom(pub(super) StartAt);

const POSSIBLE: &str = "possible are: beginning; end; an offset such as 4711; a moment such as \
     2018-02-01T12:30:00Z, 2018-02-01 or @1517443200000 (milliseconds); or how long ago, such as 1h or 15min";

impl FromStr for StartFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = match text.trim() {
            "beginning" | "earliest" => Some(StartAt::Earliest),
            "end" | "latest" => Some(StartAt::Latest),
            text if text.starts_with('@') => number(text.strip_prefix('@').unwrap_or_default())
                .map(|ms| StartAt::Time(TimestampMs::new(ms))),
            text if number(text).is_some() => {
                number(text).map(|at| StartAt::Offset(Offset::new(at)))
            }
            text => {
                timestamp::parse(text).map(StartAt::Time).or_else(|| ago(text).map(StartAt::Ago))
            }
        };
        start.map(Self).ok_or_else(|| POSSIBLE.to_owned())
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number >= 0)
}

fn ago(text: &str) -> Option<Duration> {
    values::duration(text.strip_suffix("ago").unwrap_or(text).trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_where_is_read() {
        let hour = StartAt::Ago(Duration::from_hours(1));
        let february = StartAt::Time(TimestampMs::new(1_517_443_200_000));
        for (text, expected) in [
            ("beginning", StartAt::Earliest),
            ("end", StartAt::Latest),
            ("4711", StartAt::Offset(Offset::new(4711))),
            ("@1517443200000", february),
            ("2018-02-01", february),
            ("2018-02-01T01:00:00+01:00", february),
            ("1h", hour),
            ("1h ago", hour),
        ] {
            assert_eq!(text.parse(), Ok(StartFrom(expected)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_says_what_is_possible() {
        for text in ["", "begin", "-1", "@", "@x", "2018-02-30", "1 fortnight"] {
            let error = text.parse::<StartFrom>().unwrap_err();
            assert!(error.contains("possible are: beginning"), "{text}: {error}");
        }
    }
}
