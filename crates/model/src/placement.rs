//! Placement: what a function says of the engines its calls may go to, and in which order.
//!
//! The same shape holds defaults of an application and of an organization: a field that is not
//! set falls through to them ([`PlacementSpec::over`]).

mod check;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// Engines a list may name.
pub const MAX_ENGINES: usize = 64;
/// Preferences of one placement.
pub const MAX_PREFERENCES: usize = 16;
/// The greatest weight of a preference.
pub const MAX_WEIGHT: u32 = 1_000;
/// The greatest `burst.whenQueued`.
pub const MAX_QUEUED: u32 = 100_000;

/// Where calls go. Everything may be left out; what is depends on no engine then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlacementSpec {
    /// Labels an engine must have, with these values. An empty value asks for nothing: it lifts
    /// what a default asks for.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub require: Labels,
    /// Which engines come first. `None` falls through to the defaults, an empty list does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefer: Option<Vec<Preference>>,
    /// The only engines that are asked, in order. `None` falls through to the defaults; an empty
    /// list admits all engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engines: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<bool>,
    /// A function's alone: nothing else has versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// Engines with these labels are better by this weight; with strategy `weighted`, they share that
/// much of the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// All of them must match.
    pub labels: Labels,
    /// 1 to [`MAX_WEIGHT`].
    pub weight: u32,
}

impl Preference {
    /// Whether an engine with these labels is preferred.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// How one of several engines is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlacementStrategy))]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The first that can take the call: by preference, then as `engines` lists them, then by cost.
    #[default]
    Ordered,
    /// At random, in the proportion of the preferences' weights.
    Weighted,
    /// Among the most preferred, the one with the fewest calls for its capacity.
    LeastLoaded,
    /// The one that costs least and has room.
    Cheapest,
}

impl Strategy {
    pub const ALL: [Strategy; 4] =
        [Strategy::Ordered, Strategy::Weighted, Strategy::LeastLoaded, Strategy::Cheapest];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Ordered => "ordered",
            Strategy::Weighted => "weighted",
            Strategy::LeastLoaded => "least-loaded",
            Strategy::Cheapest => "cheapest",
        }
    }
}

/// Engines that take calls only when the others have too many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Burst {
    /// In order. Empty is no burst, which lifts a default.
    pub to: Vec<String>,
    /// When more calls of the function than this wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_queued: Option<u32>,
    /// When none of the other engines has room. `true` when neither condition is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_saturated: Option<bool>,
}

impl Burst {
    pub fn when_saturated_or_default(&self) -> bool {
        self.when_saturated.unwrap_or(self.when_queued.is_none())
    }
}

/// A part of the calls goes to another version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Number of the version, from 1.
    pub version: u64,
    /// 0 to 100.
    pub percent: u8,
}

impl PlacementSpec {
    pub fn strategy_or_default(&self) -> Strategy {
        self.strategy.unwrap_or_default()
    }

    /// Whether a call may go to another engine when the first is broken. Yes, when nothing is said.
    pub fn failover_or_default(&self) -> bool {
        self.failover.unwrap_or(true)
    }

    /// This placement where it says something, the defaults where it does not: field by field,
    /// and `require` label by label. A canary is never inherited.
    #[must_use]
    pub fn over(&self, defaults: &PlacementSpec) -> PlacementSpec {
        let mut require = defaults.require.clone();
        require.extend(self.require.clone());
        PlacementSpec {
            require,
            prefer: self.prefer.clone().or_else(|| defaults.prefer.clone()),
            engines: self.engines.clone().or_else(|| defaults.engines.clone()),
            strategy: self.strategy.or(defaults.strategy),
            burst: self.burst.clone().or_else(|| defaults.burst.clone()),
            failover: self.failover.or(defaults.failover),
            canary: self.canary,
        }
    }

    /// What holds for a function: its own, over its application's, over its organization's.
    pub fn effective(
        function: Option<&PlacementSpec>,
        application: Option<&PlacementSpec>,
        organization: Option<&PlacementSpec>,
    ) -> PlacementSpec {
        let none = PlacementSpec::default();
        let (function, application) = (function.unwrap_or(&none), application.unwrap_or(&none));
        let mut all = function.over(&application.over(organization.unwrap_or(&none)));
        all.require.retain(|_, value| !value.is_empty());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_function_goes_over_its_application_and_that_over_the_organization() {
        let organization = PlacementSpec {
            require: labels(&[("region", "eu"), ("tier", "gold")]),
            strategy: Some(Strategy::Cheapest),
            engines: Some(vec!["a".to_owned()]),
            failover: Some(false),
            canary: Some(Canary { version: 1, percent: 5 }),
            ..PlacementSpec::default()
        };
        let application = PlacementSpec {
            strategy: Some(Strategy::Weighted),
            burst: Some(Burst { to: vec!["cloud".to_owned()], ..Burst::default() }),
            ..PlacementSpec::default()
        };
        let function = PlacementSpec {
            require: labels(&[("tier", ""), ("gpu", "a100")]),
            engines: Some(Vec::new()),
            ..PlacementSpec::default()
        };
        let all =
            PlacementSpec::effective(Some(&function), Some(&application), Some(&organization));
        assert_eq!(all.require, labels(&[("region", "eu"), ("gpu", "a100")]), "tier is lifted");
        assert_eq!(all.strategy_or_default(), Strategy::Weighted);
        assert_eq!(all.engines, Some(Vec::new()), "an empty list is an answer");
        assert_eq!(all.burst, application.burst);
        assert!(!all.failover_or_default());
        assert_eq!(all.canary, None, "a version of another function means nothing");
    }

    #[test]
    fn nothing_said_is_ordered_with_failover() {
        let none = PlacementSpec::effective(None, None, None);
        assert_eq!(none, PlacementSpec::default());
        assert_eq!(none.strategy_or_default(), Strategy::Ordered);
        assert!(none.failover_or_default());
        assert!(Burst::default().when_saturated_or_default());
        let queued = Burst { when_queued: Some(20), ..Burst::default() };
        assert!(!queued.when_saturated_or_default());
    }

    #[test]
    fn strategies_are_stored_as_they_are_written() {
        for strategy in Strategy::ALL {
            let text = serde_json::to_string(&strategy).unwrap();
            assert_eq!(text, format!("{:?}", strategy.as_str()));
        }
    }
}
