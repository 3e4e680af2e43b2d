//! Times as people read them.

use chrono::{DateTime, Local, Utc};
use serde_json::Value;

/// Unix seconds as the local date and time; a dash for none.
pub fn local(value: &Value) -> String {
    let time = value.as_i64().and_then(|s| DateTime::<Utc>::from_timestamp(s, 0));
    time.map_or_else(
        || "-".to_owned(),
        |time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Microseconds as a duration with a fitting unit.
pub fn duration(us: &Value) -> String {
    match us.as_i64() {
        None => "-".to_owned(),
        Some(us) if us < 1_000 => format!("{us} µs"),
        Some(us) if us < 1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        Some(us) => format!("{:.1} s", us as f64 / 1e6),
    }
}
