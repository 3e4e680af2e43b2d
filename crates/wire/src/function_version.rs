//! Versions of functions, and which of them take calls. An addition to v1.

use dispatch_model::Resource;
use dispatch_model::State;
use dispatch_model::function::{Function as FunctionMarker, FunctionStatus};
use dispatch_model::function_version::FunctionVersion as Marker;
use dispatch_model::placement::Canary;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::convert::FromModel as _;
use crate::function::Function;

/// One version of a function: what it was when it was made. Never changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FunctionVersion {
    /// As calls and routes name it: `hello:7`.
    pub name: String,
    pub version: u64,
    /// Unix seconds.
    pub created_time: i64,
    /// The share of calls it takes that name no version, in percent.
    pub percent: u8,
    /// Names it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Engines that have it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<String>,
    pub faas_id: Uuid,
    /// Digest of the image it runs on; none on `host:LANGUAGE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    #[serde(default, rename = "functionImageURL", skip_serializing_if = "Option::is_none")]
    pub function_image_url: Option<String>,
    /// Digest of its own image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the function said.
    pub function: Function,
}

impl FunctionVersion {
    /// A version beside its function, which says what becomes of it.
    pub fn of(version: &Resource<Marker>, status: &FunctionStatus) -> Self {
        let spec = &version.spec;
        let named = status.serving.iter().flat_map(|serving| &serving.aliases);
        let aliases = named.filter(|(_, number)| **number == spec.number);
        let engines = status.deployed(spec.number).map(|d| d.engines.clone());
        let meta = &version.meta;
        let function = Resource::<FunctionMarker>::new(
            meta.org.clone(),
            dispatch_model::Name::trusted(&spec.function),
            meta.tags.clone(),
            State::Ready,
            spec.spec.clone(),
        );
        let mut function = Function::from_model(&function);
        // These are of the function as it is now, not of one of its versions.
        (function.id, function.created_time, function.modified_time) = (None, None, None);
        (function.status, function.kind) = (None, None);
        Self {
            name: format!("{}:{}", spec.function, spec.number),
            version: spec.number,
            created_time: meta.created_ms.div_euclid(1_000),
            percent: share(status, spec.number),
            aliases: aliases.map(|(alias, _)| alias.clone()).collect(),
            engines: engines.unwrap_or_default(),
            faas_id: spec.faas_id,
            image_digest: spec.image_digest.clone(),
            function_image_url: spec.function_image_url.clone(),
            digest: spec.digest.clone(),
            function,
        }
    }
}

fn share(status: &FunctionStatus, number: u64) -> u8 {
    let Some(serving) = &status.serving else { return 0 };
    let trial = serving.canary.map_or(0, |canary| canary.percent);
    match (serving.version == number, serving.canary) {
        (true, _) => 100 - trial,
        (_, Some(Canary { version, percent })) if version == number => percent,
        _ => 0,
    }
}

/// What is to become of a function's versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// Number of the version; with an alias alone, its absence takes the alias away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The share of calls it takes: all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Gives the version this name, and leaves calls that name none alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}
