//! How the next call of a function would be decided, for people. An addition to v1.

use serde::{Deserialize, Serialize};

use crate::placement::Placement;

/// Where calls of a function go now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementReport {
    pub function: String,
    /// What holds: the function's own words, over its application's, over its organization's.
    pub placement: Placement,
    /// The version that takes calls, then the one on trial.
    pub versions: Vec<PlacementOfVersion>,
}

/// Where calls of one version go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementOfVersion {
    pub version: u64,
    /// The share of calls it takes that name no version, in percent.
    pub percent: u8,
    /// All engines of the organization, in the order they would be asked; then those that cannot
    /// take its calls.
    pub engines: Vec<PlacementOfEngine>,
}

/// What an engine is to a version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementOfEngine {
    pub engine: String,
    /// `primary`, `burst` or `unfit`.
    pub role: String,
    /// Whether the next call may go there; with several, chance decides between them.
    pub next: bool,
    /// Which tier it is in, from 1; engines of one tier are equally good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<usize>,
    /// Sum of the weights of the preferences it matches.
    pub score: u32,
    pub cost: u32,
    /// Its part of the calls, 0 to 1, with the strategy `weighted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Calls under way, of all functions, that this server sent.
    pub in_flight: u32,
    /// 0 for no limit.
    pub max_concurrency: u32,
    /// Mean time of a call, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Why the next call does not go there: a sentence without its subject and full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
    /// It gets no new deployments; this one is served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
}
