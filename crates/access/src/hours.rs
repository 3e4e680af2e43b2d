//! Hours of the week in a time zone.

use chrono::{DateTime, Datelike as _, Timelike as _};
use chrono_tz::Tz;
use dispatch_model::policy::{Day, Hours as Model};

const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;

const DAYS: [Day; 7] = [
    Day::Monday,
    Day::Tuesday,
    Day::Wednesday,
    Day::Thursday,
    Day::Friday,
    Day::Saturday,
    Day::Sunday,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours {
    pub zone: Tz,
    /// Minutes of the week, from Monday's first on: sorted, apart, each without its end.
    pub spans: Vec<(u16, u16)>,
}

impl Hours {
    /// # Errors
    /// What is wrong with them.
    pub fn new(model: &Model) -> Result<Hours, String> {
        let zone = zone(&model.time_zone)?;
        let (from, to) = (model.from_minute, model.to_minute);
        if from >= DAY || to > DAY {
            return Err(format!("hours from minute {from} to {to} are not within a day"));
        }
        let length = if to > from { to - from } else { DAY + to - from };
        let begins = |day: &Day| model.days.is_empty() || model.days.contains(day);
        let starts = DAYS.iter().enumerate().filter(|(_, day)| begins(day));
        let mut spans = Vec::new();
        for (number, _) in starts {
            let start = number as u16 * DAY + from;
            let end = start + length;
            spans.push((start, end.min(WEEK)));
            if end > WEEK {
                spans.push((0, end - WEEK));
            }
        }
        Ok(Hours { zone, spans: joined(spans) })
    }

    pub fn hold(&self, minute: u16) -> bool {
        self.spans.iter().any(|(start, end)| (*start..*end).contains(&minute))
    }

    /// Whether all hours of the other are among these. Other zones' hours move against them.
    pub fn cover(&self, other: &Hours) -> bool {
        let within = |(start, end): &(u16, u16)| {
            self.spans.iter().any(|(from, to)| from <= start && end <= to)
        };
        self.zone == other.zone && other.spans.iter().all(within)
    }
}

/// # Errors
/// That there is no such time zone.
pub(crate) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| format!("there is no time zone {name:?}"))
}

/// The minute of the week in a zone; none for a time no calendar has.
pub(crate) fn minute_of_week(zone: Tz, now_ms: i64) -> Option<u16> {
    let there = DateTime::from_timestamp_millis(now_ms)?.with_timezone(&zone);
    let days = there.weekday().num_days_from_monday();
    u16::try_from((days * 24 + there.hour()) * 60 + there.minute()).ok()
}

fn joined(mut spans: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    spans.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (start, end) in spans {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
