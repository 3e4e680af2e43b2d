//! Values of flags, read with errors that say how they are written.

use chrono::{DateTime, Utc};

/// How many at most.
pub fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 would show nothing; leave --limit out".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number, 1 or more".to_owned()),
    }
}

/// A whole number.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}

/// `KEY=VALUE`, as one text.
pub fn pair(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("must have the form KEY=VALUE".to_owned()),
    }
}

/// A time as unix seconds: `90s`, `10m`, `2h`, `7d` ago, RFC 3339, or unix seconds as they are.
pub fn since(text: &str) -> Result<i64, String> {
    since_at(text, Utc::now().timestamp())
}

fn since_at(text: &str, now: i64) -> Result<i64, String> {
    let rule = "must be how long ago (90s, 10m, 2h, 7d), a time (2026-11-25T08:00:00Z) or unix \
                seconds";
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp());
    }
    let ago = span(text).ok_or(rule)?;
    Ok(now - i64::from(ago))
}

/// A time as policies have it: RFC 3339, or unix seconds as they are.
pub fn moment(text: &str) -> Result<serde_json::Value, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds.into());
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err("must be a time (2026-12-01T08:00:00Z) or unix seconds".to_owned()),
    }
}

/// A part of the day: `09:00-17:30`.
pub fn hours(text: &str) -> Result<(String, String), String> {
    let is_time = |text: &str| {
        let parts = text.split_once(':');
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        parts.is_some_and(|(hour, minute)| digits(hour) && digits(minute))
    };
    match text.split_once('-') {
        Some((from, to)) if is_time(from) && is_time(to) => Ok((from.to_owned(), to.to_owned())),
        _ => Err("must be two times of the day: 09:00-17:30".to_owned()),
    }
}

/// Days of the week as the API spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days(pub Vec<&'static str>);

/// Days of the week: `mon-fri`, or several after commas.
pub fn days(text: &str) -> Result<Days, String> {
    let rule = || "must be days of the week: mon-fri, or sat,sun".to_owned();
    let one = |text: &str| {
        let text = text.to_lowercase();
        let fits = |day: &&&str| text.len() >= 3 && day.starts_with(&text);
        DAYS.iter().enumerate().find(|(_, day)| fits(day)).map(|(at, _)| at).ok_or_else(rule)
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (one(first)?, one(last)?);
        let count = (last + DAYS.len() - first) % DAYS.len() + 1;
        days.extend((first..first + count).map(|at| DAYS[at % DAYS.len()]));
    }
    Ok(Days(days))
}

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A time span in seconds: `90s`, `10m`, `2h`, `7d`, or seconds as they are.
pub fn seconds(text: &str) -> Result<u64, String> {
    let plain = text.parse().ok();
    let seconds = plain.or_else(|| span(text).map(u64::from));
    seconds.ok_or_else(|| "must be a time span: 90s, 10m, 2h, 7d".to_owned())
}

fn span(text: &str) -> Option<u32> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit)
}

/// A number of bytes as people read it.
pub fn bytes(count: u64) -> String {
    const MIB: f64 = 1_048_576.0;
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=999_999 => format!("{} KiB", count / 1024),
        _ => format!("{:.1} MiB", count as f64 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        let at = |text: &str| since_at(text, 1_000_000);
        assert_eq!(at("12345"), Ok(12_345));
        assert_eq!(at("1970-01-01T00:01:00Z"), Ok(60));
        assert_eq!(at("90s"), Ok(999_910));
        assert_eq!(at("10m"), Ok(999_400));
        assert_eq!(at("2h"), Ok(992_800));
        assert_eq!(at("7d"), Ok(395_200));
        for wrong in ["", "m", "1.5h", "tomorrow", "-5m", "5µ"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_and_hours_are_ranges() {
        assert_eq!(days("mon-fri").unwrap().0.len(), 5);
        assert_eq!(days("fri-mon").unwrap().0, ["friday", "saturday", "sunday", "monday"]);
        assert_eq!(days("Sat,wednesday").unwrap().0, ["saturday", "wednesday"]);
        for wrong in ["", "mo", "mon-", "weekend", "mon fri"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
        assert_eq!(hours("09:00-17:30"), Ok(("09:00".to_owned(), "17:30".to_owned())));
        for wrong in ["", "9-17", "09:00", "09:00-5pm"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
        assert_eq!(moment("60"), Ok(60.into()));
        assert!(moment("2026-12-01T08:00:00Z").is_ok() && moment("tomorrow").is_err());
    }

    #[test]
    fn spans_are_read_with_and_without_a_unit() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7_200));
        for wrong in ["", "h", "-1", "1.5h", "99999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_and_pairs_say_their_rule() {
        assert_eq!(limit("7"), Ok(7));
        assert!(limit("0").unwrap_err().contains("leave --limit out"));
        assert!(limit("all").is_err());
        assert_eq!(pair("a=b=c").as_deref(), Ok("a=b=c"));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
