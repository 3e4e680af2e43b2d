//! The section `audit` of the configuration.

use serde::Deserialize;

/// Explained key by key in `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub max_age_s: u64,
}

impl Settings {
    /// The age from which entries go; `None` when they stay.
    pub fn max_age_ms(&self) -> Option<i64> {
        let ms = i64::try_from(self.max_age_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        (ms > 0).then_some(ms)
    }
}
