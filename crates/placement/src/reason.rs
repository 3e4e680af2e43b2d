//! Why a call went where it went: a word that stays, and a sentence for people.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use dispatch_model::placement::Canary;

/// The kinds of reasons. The words are recorded with runs, so they do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    Only,
    Preferred,
    Weighted,
    LeastLoaded,
    Cheapest,
    Overflow,
    Burst,
    Failover,
    Probe,
    Draining,
    Canary,
}

impl Word {
    pub const ALL: [Word; 11] = [
        Word::Only,
        Word::Preferred,
        Word::Weighted,
        Word::LeastLoaded,
        Word::Cheapest,
        Word::Overflow,
        Word::Burst,
        Word::Failover,
        Word::Probe,
        Word::Draining,
        Word::Canary,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Word::Only => "only",
            Word::Preferred => "preferred",
            Word::Weighted => "weighted",
            Word::LeastLoaded => "least-loaded",
            Word::Cheapest => "cheapest",
            Word::Overflow => "overflow",
            Word::Burst => "burst",
            Word::Failover => "failover",
            Word::Probe => "probe",
            Word::Draining => "draining",
            Word::Canary => "canary",
        }
    }

    /// What it means, for the reader of a run.
    pub fn meaning(self) -> &'static str {
        match self {
            Word::Only => "no other engine fits",
            Word::Preferred => "the first in order",
            Word::Weighted => "drawn by weight",
            Word::LeastLoaded => "the fewest calls for its capacity",
            Word::Cheapest => "the lowest cost with room",
            Word::Overflow => "the engines before it have no room",
            Word::Burst => "the other engines have too many calls",
            Word::Failover => "the engines before it are broken",
            Word::Probe => "it has failed before, and this call finds out whether it is back",
            Word::Draining => "it is being drained, and no other engine can take the call",
            Word::Canary => "a share of the calls goes to another version",
        }
    }
}

/// Why an engine takes no call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Unhealthy,
    Draining,
    /// The breaker is open.
    Broken {
        for_ns: u64,
    },
    /// The engine asked for no calls for a while.
    Pausing {
        for_ns: u64,
    },
    Full {
        in_flight: u32,
        most: u32,
    },
    /// It is being told of the function.
    Untold,
}

impl Why {
    /// Whether it only has too much to do, rather than being out of order.
    pub fn is_busy(self) -> bool {
        matches!(self, Why::Full { .. } | Why::Pausing { .. } | Why::Untold)
    }

    /// How long that is known to last.
    pub(crate) fn wait_ns(self) -> Option<u64> {
        match self {
            Why::Broken { for_ns } | Why::Pausing { for_ns } => Some(for_ns),
            Why::Unhealthy | Why::Draining | Why::Full { .. } | Why::Untold => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Unhealthy => f.write_str("is unhealthy"),
            Why::Draining => f.write_str("is being drained"),
            Why::Broken { for_ns } => {
                write!(f, "has failed and is left alone for {}", seconds(*for_ns))
            }
            Why::Pausing { for_ns } => {
                write!(f, "has said that it is full and is left alone for {}", seconds(*for_ns))
            }
            Why::Full { in_flight, most } => write!(f, "is full ({in_flight} of {most})"),
            Why::Untold => f.write_str("has not been told of the function yet"),
        }
    }
}

/// Rounded up, so that it is never "0 s".
fn seconds(ns: u64) -> String {
    if ns < 1_000_000_000 {
        return format!("{} ms", ns.div_ceil(1_000_000));
    }
    format!("{} s", ns.div_ceil(1_000_000_000))
}

/// Why an engine was chosen. Making one allocates nothing; its sentence does, where it is not a
/// constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    word: Word,
    because: Because,
    canary: Option<Canary>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Because {
    Nothing,
    /// An engine that comes first was passed over.
    PassedOver(Arc<str>, Why),
    /// The call was tried there: the message names the engine.
    Failed(Arc<str>),
    Queued {
        waiting: u32,
        limit: u32,
    },
}

impl Reason {
    pub(crate) fn new(word: Word, because: Because) -> Self {
        Self { word, because, canary: None }
    }

    pub(crate) fn plain(word: Word) -> Self {
        Self::new(word, Because::Nothing)
    }

    /// The same for a call that goes to the canary's version.
    #[must_use]
    pub fn of_canary(self, canary: Canary) -> Self {
        Self { canary: Some(canary), ..self }
    }

    pub fn word(&self) -> Word {
        if self.canary.is_some() { Word::Canary } else { self.word }
    }

    /// Without the word: `process is full (20 of 20)`.
    pub fn sentence(&self) -> Cow<'static, str> {
        let sentence = self.engine_sentence();
        match &self.canary {
            None => sentence,
            Some(Canary { version, percent }) => Cow::Owned(format!(
                "{percent} % of the calls go to version {version}; there: {sentence}"
            )),
        }
    }

    fn engine_sentence(&self) -> Cow<'static, str> {
        match &self.because {
            Because::Nothing => Cow::Borrowed(self.word.meaning()),
            Because::PassedOver(engine, why) => Cow::Owned(format!("{engine} {why}")),
            Because::Failed(message) => Cow::Owned(message.to_string()),
            Because::Queued { waiting, limit } => {
                Cow::Owned(format!("{waiting} calls wait, more than {limit}"))
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word().as_str(), self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_word_and_a_sentence() {
        let full = Because::PassedOver("process".into(), Why::Full { in_flight: 20, most: 20 });
        let burst = Reason::new(Word::Burst, full);
        assert_eq!(burst.to_string(), "burst: process is full (20 of 20)");
        let failed = Because::Failed("eu-1 failed (connection refused)".into());
        let failover = Reason::new(Word::Failover, failed);
        assert_eq!(failover.to_string(), "failover: eu-1 failed (connection refused)");
        let queued = Because::Queued { waiting: 21, limit: 20 };
        let queued = Reason::new(Word::Burst, queued);
        assert_eq!(queued.to_string(), "burst: 21 calls wait, more than 20");
        let canary = Reason::plain(Word::Only).of_canary(Canary { version: 7, percent: 5 });
        assert_eq!(
            canary.to_string(),
            "canary: 5 % of the calls go to version 7; there: no other engine fits"
        );
        assert!(matches!(Reason::plain(Word::Weighted).sentence(), Cow::Borrowed(_)));
    }

    #[test]
    fn times_are_never_said_as_nothing() {
        assert_eq!(seconds(1), "1 ms");
        assert_eq!(seconds(11_000_000_001), "12 s");
    }
}
