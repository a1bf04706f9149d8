//! Moments as people write them, RFC 3339, and as records bear them, milliseconds since 1970 (UTC).

use thalweg_protocol::TimestampMs;

const MS_PER_DAY: i64 = 86_400_000;

/// Reads `2018-02-01T12:30:00Z`, with a fraction or an offset if need be; without a time it is midnight, and
/// without an offset UTC. `None` if it is nothing of the kind.
pub(crate) fn parse(text: &str) -> Option<TimestampMs> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = date_to_days(date)?;
    let mut ms = days.checked_mul(MS_PER_DAY)?;
    if let Some(rest) = rest.strip_prefix(['T', 't', ' ']) {
        let (clock, offset_ms) = split_offset(rest)?;
        ms = ms.checked_add(clock_to_ms(clock)?)?.checked_sub(offset_ms)?;
    } else if !rest.is_empty() {
        return None;
    }
    Some(TimestampMs::new(ms))
}

/// Writes a moment as `2018-02-01T12:30:00.000Z`; one that is not known as `-`.
pub(crate) fn print(timestamp: TimestampMs) -> String {
    let ms = timestamp.get();
    if ms < 0 {
        return "-".to_owned();
    }
    let (days, of_day) = (ms / MS_PER_DAY, ms % MS_PER_DAY);
    let (year, month, day) = days_to_date(days);
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (seconds, millis) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = good.then(|| text.parse().ok())??;
    (number <= max).then_some(number)
}

fn date_to_days(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let year = number(parts.next()?, 4, 9999)?;
    let month = number(parts.next()?, 2, 12)?;
    let day = number(parts.next()?, 2, 31)?;
    if month < 1 || day < 1 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // The 31st of a shorter month would be a day of the next one.
    (days_to_date(days) == (year, month, day)).then_some(days)
}

/// Days since 1970 of a day in the Gregorian calendar; years count from March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn days_to_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// The clock without its offset, and the offset in milliseconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (clock, offset) = text.split_at_checked(at)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let ms = (number(hours, 2, 23)? * 60 + number(minutes, 2, 59)?) * 60_000;
    Some((clock, if offset.starts_with('-') { -ms } else { ms }))
}

fn clock_to_ms(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let hours = number(parts.next()?, 2, 23)?;
    let minutes = number(parts.next()?, 2, 59)?;
    let (seconds, fraction) = match parts.next() {
        None => ("00", ""),
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
    };
    let seconds = number(seconds, 2, 59)?;
    // What is finer than a millisecond is cut.
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + number(&millis, 3, 999)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<i64> {
        parse(text).map(TimestampMs::get)
    }

    #[test]
    fn moments_are_read_with_and_without_their_parts() {
        assert_eq!(ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(ms("2018-02-01"), Some(1_517_443_200_000));
        assert_eq!(ms("2018-02-01T00:00"), Some(1_517_443_200_000));
        assert_eq!(ms("2018-02-01 01:00:00+01:00"), Some(1_517_443_200_000));
        assert_eq!(ms("2018-01-31T23:30:00.25-00:30"), Some(1_517_443_200_250));
        assert_eq!(ms("2000-02-29T12:00:00.123456Z"), Some(951_825_600_123));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "2018-02-30",
            "2018-13-01",
            "2018-00-01",
            "2018-2-1",
            "2018-02-01T24:00:00Z",
            "2018-02-01T00",
            "2018-02-01T00:00:00.xZ",
            "2018-02-01Z",
            "2018-02-01T00:00:00+1",
            "20180201T000000",
            "2018-02-0é",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for number in (0..4_102_444_800_000).step_by(86_399_999 * 13) {
            let moment = TimestampMs::new(number);
            assert_eq!(parse(&print(moment)), Some(moment));
        }
        assert_eq!(print(TimestampMs::new(1_517_443_200_000)), "2018-02-01T00:00:00.000Z");
        assert_eq!(print(TimestampMs::NONE), "-");
    }
}
