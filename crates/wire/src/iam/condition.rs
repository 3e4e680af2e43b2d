//! What must be so for a rule to hold.

use chrono::{DateTime, Utc};
use dispatch_model::Violation;
use dispatch_model::policy::{Condition as ModelCondition, Day, Hours as ModelHours};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::shared::{Tag, tags_from_model, tags_to_model};

/// All parts that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Tags the thing must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// From when on it holds: RFC 3339, or unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub not_before: Option<DateTime<Utc>>,
    /// From when on it holds no more: RFC 3339, or unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub not_after: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Addresses, or ranges such as `10.0.0.0/8`, of which one is the request's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_addresses: Vec<String>,
}

/// A part of every day, or of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hours {
    /// `09:00`
    pub from: String,
    /// `17:30`; at or before `from` it is that of the next day.
    pub to: String,
    /// Days on which it begins; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// Of the IANA database; UTC when absent.
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Condition {
    pub(super) fn to_model(&self, at: &str) -> Result<ModelCondition, Violation> {
        let inside = |violation: Violation| {
            Violation::new(format!("{at}.{}", violation.field), violation.rule)
        };
        let hours = self.hours.as_ref().map(Hours::to_model).transpose().map_err(inside)?;
        Ok(ModelCondition {
            tags: tags_to_model(&self.tags).map_err(inside)?,
            not_before_ms: self.not_before.map(|time| time.timestamp_millis()),
            not_after_ms: self.not_after.map(|time| time.timestamp_millis()),
            hours,
            source_addresses: self.source_addresses.clone(),
        })
    }

    /// None when nothing must be so.
    pub(super) fn from_model(condition: &ModelCondition) -> Option<Self> {
        let time = |ms: Option<i64>| ms.and_then(DateTime::from_timestamp_millis);
        (!condition.is_none()).then(|| Condition {
            tags: tags_from_model(&condition.tags),
            not_before: time(condition.not_before_ms),
            not_after: time(condition.not_after_ms),
            hours: condition.hours.as_ref().map(Hours::from_model),
            source_addresses: condition.source_addresses.clone(),
        })
    }
}

impl Hours {
    fn to_model(&self) -> Result<ModelHours, Violation> {
        let minute = |field: &str, text: &str| {
            let rule = format!("{text:?} must be a time of the day, such as 09:00");
            minute(text).ok_or_else(|| Violation::new(format!("hours.{field}"), rule))
        };
        Ok(ModelHours {
            from_minute: minute("from", &self.from)?,
            to_minute: minute("to", &self.to)?,
            days: self.days.clone(),
            time_zone: self.time_zone.clone(),
        })
    }

    fn from_model(hours: &ModelHours) -> Self {
        let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        Hours {
            from: text(hours.from_minute),
            to: text(hours.to_minute),
            days: hours.days.clone(),
            time_zone: hours.time_zone.clone(),
        }
    }
}

/// `HH:MM` as minutes after midnight, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        two.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let within = minute < 60 && (hour < 24 || (hour, minute) == (24, 0));
    within.then_some(hour * 60 + minute)
}

/// Reads a time as people write it, or as v1 wrote times.
fn time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    struct Time;

    impl Visitor<'_> for Time {
        type Value = Option<DateTime<Utc>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a time such as 2026-12-01T08:00:00Z, or unix seconds")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let read = DateTime::parse_from_rfc3339(text);
            let wrong = |_| E::invalid_value(de::Unexpected::Str(text), &self);
            Ok(Some(read.map_err(wrong)?.to_utc()))
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
            let read = DateTime::from_timestamp(seconds, 0);
            let wrong = || E::invalid_value(de::Unexpected::Signed(seconds), &self);
            read.map(Some).ok_or_else(wrong)
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
            self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    input.deserialize_any(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_or_seconds() {
        let read = |text: &str| serde_json::from_str::<Condition>(text);
        let text = read(r#"{"notBefore": "1970-01-01T01:01:00+01:00"}"#).unwrap();
        assert_eq!(text, read(r#"{"notBefore": 60}"#).unwrap());
        assert_eq!(text.not_before.unwrap().timestamp(), 60);
        for wrong in ["\"tomorrow\"", "1e300", "9223372036854775807", "[]"] {
            assert!(read(&format!(r#"{{"notBefore": {wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_of_the_day_has_four_digits() {
        assert_eq!(minute("00:00"), Some(0));
        assert_eq!(minute("17:30"), Some(1_050));
        assert_eq!(minute("24:00"), Some(1_440));
        for wrong in ["", "9:00", "24:01", "25:00", "12:60", "12", "+1:00", "12:00:00"] {
            assert_eq!(minute(wrong), None, "{wrong}");
        }
    }
}
