//! Placement as documents write it. An addition to v1.

use std::collections::BTreeMap;
use std::fmt;

use dispatch_model::Violation;
use dispatch_model::placement as model;
use dispatch_model::placement::Strategy;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which engines calls go to, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// Labels an engine must have. An empty value lifts what a default asks for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub require: BTreeMap<String, String>,
    /// Engines that come first, or with strategy `weighted` the shares of the calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<Vec<Preference>>,
    /// The only engines that are asked, in order; an empty list admits all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engines: Option<Vec<String>>,
    /// `ordered` when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Engines that take what is too much for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Whether calls may leave a broken engine; `true` when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<bool>,
    /// A part of the calls goes to another version of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// Labels beside their weight: `{region: eu, weight: 80}`. So no label can be called `weight`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlacementPreference))]
pub struct Preference {
    /// All of them must match.
    #[cfg_attr(feature = "openapi", serde(flatten))]
    pub labels: BTreeMap<String, String>,
    /// 1 to 1000.
    pub weight: u32,
}

/// Engines that take calls only when the others have too many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlacementBurst))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Burst {
    /// In order; empty is no burst.
    #[serde(default)]
    pub to: Vec<String>,
    /// When more calls of the function than this wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_queued: Option<u32>,
    /// When none of the other engines has room; `true` when no condition is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_saturated: Option<bool>,
}

/// A part of the calls goes to another version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlacementCanary))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    pub version: u64,
    /// 0 to 100.
    pub percent: u8,
}

impl Canary {
    pub fn from_model(canary: model::Canary) -> Self {
        Self { version: canary.version, percent: canary.percent }
    }
}

impl Placement {
    /// The checked placement of a function.
    ///
    /// # Errors
    /// The first field that breaks a rule, by its path below `placement`.
    pub fn to_model(&self) -> Result<model::PlacementSpec, Violation> {
        let spec = self.unchecked();
        spec.check()?;
        Ok(spec)
    }

    /// The checked defaults of an application or organization.
    ///
    /// # Errors
    /// As [`Placement::to_model`]; and a canary.
    pub fn to_defaults(&self) -> Result<model::PlacementSpec, Violation> {
        let spec = self.unchecked();
        spec.check_defaults()?;
        Ok(spec)
    }

    fn unchecked(&self) -> model::PlacementSpec {
        let preference =
            |p: &Preference| model::Preference { labels: p.labels.clone(), weight: p.weight };
        let burst = |b: &Burst| model::Burst {
            to: b.to.clone(),
            when_queued: b.when_queued,
            when_saturated: b.when_saturated,
        };
        let canary = |c: Canary| model::Canary { version: c.version, percent: c.percent };
        model::PlacementSpec {
            require: self.require.clone(),
            prefer: self.prefer.as_ref().map(|all| all.iter().map(preference).collect()),
            engines: self.engines.clone(),
            strategy: self.strategy,
            burst: self.burst.as_ref().map(burst),
            failover: self.failover,
            canary: self.canary.map(canary),
        }
    }

    pub fn from_model(spec: &model::PlacementSpec) -> Self {
        let preference =
            |p: &model::Preference| Preference { labels: p.labels.clone(), weight: p.weight };
        let burst = |b: &model::Burst| Burst {
            to: b.to.clone(),
            when_queued: b.when_queued,
            when_saturated: b.when_saturated,
        };
        Placement {
            require: spec.require.clone(),
            prefer: spec.prefer.as_ref().map(|all| all.iter().map(preference).collect()),
            engines: spec.engines.clone(),
            strategy: spec.strategy,
            burst: spec.burst.as_ref().map(burst),
            failover: spec.failover,
            canary: spec.canary.map(Canary::from_model),
        }
    }
}

impl Serialize for Preference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.labels.len() + 1))?;
        for (name, value) in &self.labels {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("weight", &self.weight)?;
        map.end()
    }
}

/// By hand, as serde's own flattening loses the path of what is wrong.
impl<'de> Deserialize<'de> for Preference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PreferenceVisitor)
    }
}

struct PreferenceVisitor;

impl<'de> Visitor<'de> for PreferenceVisitor {
    type Value = Preference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels beside their weight, as {region: eu, weight: 80}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Preference, A::Error> {
        let (mut labels, mut weight) = (BTreeMap::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if name == "weight" {
                weight = Some(map.next_value()?);
            } else {
                labels.insert(name, map.next_value()?);
            }
        }
        let weight = weight.ok_or_else(|| A::Error::missing_field("weight"))?;
        Ok(Preference { labels, weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const ALL: &str = r#"{"require":{"gpu":"a100"},"prefer":[{"region":"eu","weight":80}],
        "engines":["eu-1"],"strategy":"least-loaded",
        "burst":{"to":["lambda-eu"],"whenQueued":20,"whenSaturated":true},"failover":true,
        "canary":{"version":7,"percent":5}}"#;

    #[test]
    fn what_was_written_comes_back() {
        let shape: Placement = parse(ALL.as_bytes()).unwrap();
        let spec = shape.to_model().unwrap();
        let stored = serde_json::to_string(&spec).unwrap();
        let spec: model::PlacementSpec = serde_json::from_str(&stored).unwrap();
        let text = serde_json::to_string(&Placement::from_model(&spec)).unwrap();
        let compact: String = ALL.split_whitespace().collect();
        assert_eq!(text, compact);
        let empty = Placement::from_model(&model::PlacementSpec::default());
        assert_eq!(serde_json::to_string(&empty).unwrap(), "{}");
    }

    #[test]
    fn what_is_wrong_in_a_preference_is_named() {
        let wrong = |text: &str| parse::<Placement>(text.as_bytes()).unwrap_err();
        let violation = wrong(r#"{"prefer":[{"region":"eu","weight":"much"}]}"#);
        assert_eq!(violation.field, "prefer[0].weight");
        let violation = wrong(r#"{"prefer":[{"zone":1,"weight":1}]}"#);
        assert_eq!(violation.field, "prefer[0].zone");
        let violation = wrong(r#"{"prefer":[{"region":"eu"}]}"#);
        assert_eq!(violation.to_string(), "prefer[0]: missing field `weight`");
        let violation = wrong(r#"{"strategy":"random"}"#);
        assert_eq!(violation.field, "strategy");
        assert!(violation.rule.contains("least-loaded"), "{violation}");
        let violation = wrong(r#"{"burst":{"too":[]}}"#);
        assert!(violation.rule.contains("did you mean `to`"), "{violation}");
    }

    #[test]
    fn defaults_have_no_canary() {
        let shape: Placement = parse(ALL.as_bytes()).unwrap();
        assert_eq!(shape.to_defaults().unwrap_err().field, "canary");
        let shape = Placement { canary: None, ..shape };
        assert!(shape.to_defaults().is_ok());
    }
}
