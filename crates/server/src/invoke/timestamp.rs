//! RFC 3339 instants in UTC, written without allocating.

use bytes::BytesMut;

const MS_PER_DAY: i64 = 86_400_000;

/// Appends `2026-11-23T22:14:41.123Z` for unix milliseconds (years 0000 to 9999).
pub fn write_rfc3339(out: &mut BytesMut, unix_ms: i64) {
    let (year, month, day) = civil(unix_ms.div_euclid(MS_PER_DAY));
    let ms = unix_ms.rem_euclid(MS_PER_DAY);
    let seconds = ms / 1_000;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], seconds / 3_600);
    put(&mut text[14..16], seconds / 60 % 60);
    put(&mut text[17..19], seconds % 60);
    put(&mut text[20..23], ms % 1_000);
    out.extend_from_slice(&text);
}

fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value.rem_euclid(10)).expect("a digit is below ten");
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, by whole 400-year eras that begin in
/// March, so that the leap day is the last day of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_chrono(ms in -62_135_596_800_000_i64..253_402_300_799_999) {
            let mut out = BytesMut::new();
            write_rfc3339(&mut out, ms);
            let expected = DateTime::<Utc>::from_timestamp_millis(ms).unwrap();
            let expected = expected.to_rfc3339_opts(SecondsFormat::Millis, true);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}
