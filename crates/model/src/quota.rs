//! What an organization may use at most, and what is said when that is used up.

use serde::{Deserialize, Serialize};

use crate::Violation;

/// Most runs a second, and most of them at once, that may be set.
const MAX_RATE: u64 = 1_000_000;
/// The largest of the other limits: what databases can count.
const MAX: u64 = i64::MAX as u64;

/// Limits of an organization; those absent are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<u64>,
    /// URIs of all APIs, each counted once for every host it is served at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<u64>,
    /// Sources, secrets and images, each content counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Runs that have begun, or were accepted, and have not ended; on each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_runs: Option<u64>,
    /// On each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_per_second: Option<u64>,
    /// Runs that may begin at once before `runs_per_second` holds them back; as many as that when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_burst: Option<u64>,
    /// MiB a function may use × seconds its runs take, from midnight to midnight (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_seconds_per_day: Option<u64>,
}

impl Quota {
    pub fn is_empty(&self) -> bool {
        *self == Quota::default()
    }

    /// What is not said here is as it is there.
    #[must_use]
    pub fn or(self, other: &Quota) -> Quota {
        // A burst belongs to its rate.
        let burst = self.runs_burst.or(match self.runs_per_second {
            Some(_) => None,
            None => other.runs_burst,
        });
        Quota {
            functions: self.functions.or(other.functions),
            routes: self.routes.or(other.routes),
            storage_bytes: self.storage_bytes.or(other.storage_bytes),
            concurrent_runs: self.concurrent_runs.or(other.concurrent_runs),
            runs_per_second: self.runs_per_second.or(other.runs_per_second),
            runs_burst: burst,
            memory_seconds_per_day: self.memory_seconds_per_day.or(other.memory_seconds_per_day),
        }
    }

    /// # Errors
    /// A [`Violation`] that names the field, as documents spell it.
    pub fn check(&self) -> Result<(), Violation> {
        let within = |field: &str, value: Option<u64>, least: u64, most: u64| match value {
            Some(value) if !(least..=most).contains(&value) => {
                let rule = format!("is {value}, must be {least} to {most}");
                Err(Violation::new(format!("quota.{field}"), rule))
            }
            _ => Ok(()),
        };
        within("functions", self.functions, 0, MAX)?;
        within("routes", self.routes, 0, MAX)?;
        within("storageBytes", self.storage_bytes, 0, MAX)?;
        within("concurrentRuns", self.concurrent_runs, 0, MAX)?;
        within("runsPerSecond", self.runs_per_second, 1, MAX_RATE)?;
        within("runsBurst", self.runs_burst, 1, MAX_RATE)?;
        within("memorySecondsPerDay", self.memory_seconds_per_day, 0, MAX / 1_000)?;
        if self.runs_burst.is_some() && self.runs_per_second.is_none() {
            let rule = "is of use with quota.runsPerSecond only";
            return Err(Violation::new("quota.runsBurst", rule));
        }
        Ok(())
    }
}

/// A limit, by its name in documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    Functions,
    Routes,
    StorageBytes,
    ConcurrentRuns,
    RunsPerSecond,
    MemorySecondsPerDay,
}

impl Limit {
    pub const ALL: [Limit; 6] = [
        Limit::Functions,
        Limit::Routes,
        Limit::StorageBytes,
        Limit::ConcurrentRuns,
        Limit::RunsPerSecond,
        Limit::MemorySecondsPerDay,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Functions => "functions",
            Limit::Routes => "routes",
            Limit::StorageBytes => "storageBytes",
            Limit::ConcurrentRuns => "concurrentRuns",
            Limit::RunsPerSecond => "runsPerSecond",
            Limit::MemorySecondsPerDay => "memorySecondsPerDay",
        }
    }
}

/// When there is room again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frees {
    /// When something is deleted, or the limit is raised.
    Deleting,
    /// When a run ends.
    RunEnds,
    /// After so many milliseconds.
    InMs(u64),
    /// At this time, in unix milliseconds.
    AtMs(i64),
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    pub limit: Limit,
    /// The limit's value.
    pub most: u64,
    /// What is used without what was asked for.
    pub used: u64,
    pub frees: Frees,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_what_is_not_said_and_a_burst_stays_with_its_rate() {
        let defaults = Quota {
            functions: Some(10),
            runs_per_second: Some(5),
            runs_burst: Some(50),
            ..Quota::default()
        };
        let own = Quota { functions: Some(3), ..Quota::default() }.or(&defaults);
        assert_eq!(
            (own.functions, own.runs_per_second, own.runs_burst),
            (Some(3), Some(5), Some(50))
        );
        let own = Quota { runs_per_second: Some(1), ..Quota::default() }.or(&defaults);
        assert_eq!((own.runs_per_second, own.runs_burst), (Some(1), None));
    }

    #[test]
    fn limits_have_limits() {
        let refused = |quota: Quota| quota.check().unwrap_err().field;
        let rate = |rate| Quota { runs_per_second: Some(rate), ..Quota::default() };
        assert_eq!(refused(rate(0)), "quota.runsPerSecond");
        assert_eq!(refused(rate(MAX_RATE + 1)), "quota.runsPerSecond");
        assert_eq!(
            refused(Quota { storage_bytes: Some(u64::MAX), ..Quota::default() }),
            "quota.storageBytes"
        );
        assert_eq!(refused(Quota { runs_burst: Some(1), ..Quota::default() }), "quota.runsBurst");
        assert!(Quota { concurrent_runs: Some(0), ..Quota::default() }.check().is_ok());
    }
}
