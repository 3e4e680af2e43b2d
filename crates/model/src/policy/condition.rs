//! What must be so for a rule to hold: tags of the thing, the time, where the request comes from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Tags, Violation};

/// Most address ranges, and most tags, of one condition.
pub const MAX_ADDRESSES: usize = 64;

/// All parts that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Tags the thing must have, each with this value.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Unix milliseconds from which on it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<i64>,
    /// Unix milliseconds from which on it holds no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after_ms: Option<i64>,
    /// Hours of the week in which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Addresses or ranges (`10.0.0.0/8`, `2001:db8::/32`) of which one must be the request's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_addresses: Vec<String>,
}

/// A part of every day, on some days: `09:00` to `17:30`, Monday to Friday, in Europe/Vienna.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Minutes after midnight at which it begins, and at which it ends. An end at or before the
    /// beginning lies on the next day.
    pub from_minute: u16,
    pub to_minute: u16,
    /// Days on which it begins; none for all.
    #[serde(default)]
    pub days: Vec<Day>,
    /// A name of the IANA time zone database.
    pub time_zone: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

const MINUTES_OF_A_DAY: u16 = 24 * 60;
/// Longest name of a time zone that is read, in bytes.
const MAX_ZONE_BYTES: usize = 64;

impl Condition {
    pub fn is_none(&self) -> bool {
        *self == Condition::default()
    }

    /// # Errors
    /// The first field that breaks a rule. Whether a time zone exists is for whoever knows them.
    pub(super) fn check(&self, at: &str) -> Result<(), Violation> {
        if let (Some(from), Some(to)) = (self.not_before_ms, self.not_after_ms)
            && from >= to
        {
            let rule = "must be later than notBefore";
            return Err(Violation::new(format!("{at}.notAfter"), rule));
        }
        let counts = [("tags", self.tags.len()), ("sourceAddresses", self.source_addresses.len())];
        for (field, count) in counts {
            if count > MAX_ADDRESSES {
                let rule = format!("has {count} entries, at most {MAX_ADDRESSES} are allowed");
                return Err(Violation::new(format!("{at}.{field}"), rule));
            }
        }
        for text in &self.source_addresses {
            if !is_range(text) {
                let rule = format!("{text:?} must be an address or a range such as 10.0.0.0/8");
                return Err(Violation::new(format!("{at}.sourceAddresses"), rule));
            }
        }
        self.hours.as_ref().map_or(Ok(()), |hours| hours.check(&format!("{at}.hours")))
    }
}

impl Hours {
    fn check(&self, at: &str) -> Result<(), Violation> {
        if self.from_minute >= MINUTES_OF_A_DAY || self.to_minute > MINUTES_OF_A_DAY {
            return Err(Violation::new(at, "must lie between 00:00 and 24:00"));
        }
        if self.time_zone.is_empty() || self.time_zone.len() > MAX_ZONE_BYTES {
            let rule = "must be the name of a time zone, such as Europe/Vienna or UTC";
            return Err(Violation::new(format!("{at}.timeZone"), rule));
        }
        Ok(())
    }
}

/// Whether a text is an address, alone or with the length of its network's prefix.
fn is_range(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= most))
}
