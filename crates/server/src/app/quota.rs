//! What is said of a quota that is reached: which, its value, what is used, and when it frees.

use chrono::{DateTime, SecondsFormat, Utc};
use dispatch_model::quota::{Exceeded, Frees, Limit};
use dispatch_model::resource::now_ms;

/// When to look again for room that somebody has to make.
const LOOK_AGAIN_S: u64 = 60;

pub fn words(exceeded: &Exceeded) -> String {
    let Exceeded { limit, most, used, frees } = exceeded;
    let named = limit.as_str();
    let frees = match frees {
        Frees::Deleting => {
            let what = match limit {
                Limit::Functions => "delete a function",
                Limit::Routes => "delete an api",
                _ => "delete functions, images or secrets",
            };
            format!("{what} or ask an operator to raise it")
        }
        Frees::RunEnds => "frees when a run ends".to_owned(),
        Frees::InMs(ms) => format!("frees in {ms} ms"),
        Frees::AtMs(ms) => {
            let at = DateTime::<Utc>::from_timestamp_millis(*ms).unwrap_or_default();
            format!("frees at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
    };
    let room = match limit {
        Limit::StorageBytes if used < most => ", which leaves too little for this",
        _ => "",
    };
    format!("the organization's quota {named} is {most} and {used} are used{room}; {frees}")
}

/// For the header Retry-After.
pub fn retry_after_s(exceeded: &Exceeded) -> u64 {
    match exceeded.frees {
        Frees::Deleting => LOOK_AGAIN_S,
        Frees::RunEnds => 1,
        Frees::InMs(ms) => ms.div_ceil(1_000).max(1),
        Frees::AtMs(at) => u64::try_from(at - now_ms()).unwrap_or(0).div_ceil(1_000).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_limit_its_value_what_is_used_and_when_it_frees() {
        let said = |limit, most, used, frees| words(&Exceeded { limit, most, used, frees });
        assert_eq!(
            said(Limit::Functions, 10, 10, Frees::Deleting),
            "the organization's quota functions is 10 and 10 are used; delete a function or ask an \
             operator to raise it"
        );
        assert!(said(Limit::RunsPerSecond, 5, 5, Frees::InMs(85)).ends_with("frees in 85 ms"));
        let day = said(Limit::MemorySecondsPerDay, 5, 6, Frees::AtMs(1_795_824_000_000));
        assert!(day.ends_with("frees at 2026-11-28T00:00:00Z"), "{day}");
        let stored = said(Limit::StorageBytes, 10, 7, Frees::Deleting);
        assert!(stored.contains("7 are used, which leaves too little for this"), "{stored}");
    }

    #[test]
    fn whole_seconds_are_waited() {
        let after = |frees| {
            retry_after_s(&Exceeded { limit: Limit::RunsPerSecond, most: 1, used: 1, frees })
        };
        assert_eq!((after(Frees::InMs(1)), after(Frees::InMs(1_001))), (1, 2));
        assert!((9..=10).contains(&after(Frees::AtMs(now_ms() + 10_000))));
        assert_eq!(after(Frees::AtMs(0)), 1);
    }
}
