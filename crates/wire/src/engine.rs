//! Engines and their types. An addition to v1.

use std::collections::BTreeMap;

use dispatch_model::engine::{Engine as Marker, EngineSpec, EngineStatus};
use dispatch_model::{Kind, Resource, Violation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_false, resource_shape, seconds};

resource_shape! {
    /// A place functions run. Who is not an operator sees neither `settings` nor `secrets` nor
    /// `organizations`, and only engines that are open to the organization.
    Engine {
        /// Which driver: `process`, `wasm`, or one of `/v1/enginetype`.
        #[serde(default, rename = "type")]
        engine_type: String,
        /// What placement chooses by: `region: eu`, `gpu: a100`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "texts")]
        labels: BTreeMap<String, String>,
        /// As the type reads them; `/v1/enginetype/{name}` lists them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "texts")]
        settings: BTreeMap<String, String>,
        /// Secrets of the organization `dispatch` whose keys are settings too.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<String>,
        /// Order among engines that fit: the lower, the cheaper.
        #[serde(default)]
        cost: u32,
        /// Calls at the same time; absent for as many as come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_concurrency: Option<u32>,
        /// Memory of one function's worker at most, in MiB; absent for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_memory_mib: Option<u64>,
        /// Organizations whose functions it runs; empty for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        organizations: Vec<String>,
        /// It takes no new deployments; those it has go on. An update that leaves it out changes
        /// nothing of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cordoned: Option<bool>,
        /// It takes no new deployments, and those it has move to other engines. An update that
        /// leaves it out changes nothing of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        draining: Option<bool>,
        /// Read-only: whether the server that answers reaches it; absent until it has looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy: Option<bool>,
        /// Read-only: how it is, or what is wrong with it.
        #[serde(default)]
        message: String,
        /// Read-only: unix seconds of the last look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checked_time: Option<i64>,
        /// Read-only: languages it runs, as base images spell them.
        #[serde(default)]
        languages: Vec<String>,
        /// Read-only: what the machine lacks for it, one sentence each.
        #[serde(default)]
        missing: Vec<String>,
        /// Read-only: whether it pulls functions' own images from a registry.
        #[serde(default, skip_serializing_if = "is_false")]
        pulls_images: bool,
        /// Read-only: calls the server that answers has on it now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_flight: Option<u64>,
        /// Read-only: `open` or `half-open` while calls are kept from it because it failed others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        breaker: Option<String>,
    }
}

/// A type of engines and what may be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EngineType {
    pub name: String,
    pub about: String,
    /// Whether it is a part of the server, which then has the one engine of the type.
    #[serde(default, skip_serializing_if = "is_false")]
    pub embedded: bool,
    pub settings: Vec<EngineSetting>,
}

/// One thing that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EngineSetting {
    pub name: String,
    /// `text`, `url`, `duration`, `number`, `flag`, `list` or `choice`.
    pub value: String,
    /// Of a choice: what it may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Only a secret can give it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
    pub help: String,
}

impl ToModel for Engine {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<EngineSpec, Violation> {
        let spec = EngineSpec {
            engine_type: self.engine_type.clone(),
            labels: self.labels.clone(),
            settings: self.settings.clone(),
            secrets: self.secrets.clone(),
            cost: self.cost,
            max_concurrency: self.max_concurrency,
            max_memory_mib: self.max_memory_mib,
            organizations: self.organizations.clone(),
            cordoned: self.cordoned.unwrap_or(false),
            draining: self.draining.unwrap_or(false),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Engine {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let EngineSpec {
            engine_type,
            labels,
            settings,
            secrets,
            cost,
            max_concurrency,
            max_memory_mib,
            organizations,
            cordoned,
            draining,
        } = resource.spec.clone();
        let EngineStatus { healthy, message, checked_ms, languages, pulls_images, missing } =
            resource.status.clone();
        let shape = Engine {
            engine_type,
            labels,
            settings,
            secrets,
            cost,
            max_concurrency,
            max_memory_mib,
            organizations,
            cordoned: cordoned.then_some(true),
            draining: draining.then_some(true),
            healthy,
            message,
            checked_time: healthy.map(|_| seconds(checked_ms)),
            languages,
            missing,
            pulls_images,
            ..Engine::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}

/// Texts by name. In YAML `true` and `8080` are no texts until they are quoted; nobody who writes
/// a setting means anything else by them.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Number(serde_json::Number),
        Flag(bool),
    }
    let given = BTreeMap::<String, Scalar>::deserialize(from)?;
    let text = |text| match text {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
        Scalar::Flag(flag) => flag.to_string(),
    };
    Ok(given.into_iter().map(|(key, value)| (key, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_labels_may_be_written_as_numbers_and_flags() {
        let body = br#"{"name": "e", "type": "t", "labels": {"gpu": true}, "settings": {"n": 5}}"#;
        let engine = crate::parse::<Engine>(body).unwrap();
        assert_eq!(engine.labels["gpu"], "true");
        assert_eq!(engine.settings["n"], "5");
        let wrong = br#"{"name": "e", "type": "t", "settings": {"n": []}}"#;
        assert!(crate::parse::<Engine>(wrong).unwrap_err().field.starts_with("settings"));
    }
}
