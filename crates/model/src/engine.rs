//! Engines: places functions run, which the operators of an installation add, label and take out
//! of service. They belong to no organization but may be limited to some.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::labels::{Labels, check_labels, start};
use crate::name::check_reference;
use crate::{Name, OrgName, Violation, kind};

kind!(
    /// Marks engines.
    Engine, EngineSpec, EngineStatus
);

/// Settings of one engine, and bytes of one.
pub const MAX_SETTINGS: usize = 64;
pub const MAX_SETTING_BYTES: usize = 64 << 10;
pub const MAX_SECRETS: usize = 16;
pub const MAX_ORGANIZATIONS: usize = 1_000;

/// What an engine is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSpec {
    /// Which driver: `process`, `wasm`, `openfaas`, …
    pub engine_type: String,
    /// What placement chooses by: `region: eu`, `gpu: a100`.
    #[serde(default)]
    pub labels: Labels,
    /// As the type reads them.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Secrets of the operators' organization. Their keys are settings too.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Order among engines that fit: the lower, the cheaper.
    #[serde(default)]
    pub cost: u32,
    /// Calls at the same time; `None` for as many as come.
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// Memory of one function's worker at most, in MiB; `None` for no limit.
    #[serde(default)]
    pub max_memory_mib: Option<u64>,
    /// Organizations whose functions it runs; empty for all.
    #[serde(default)]
    pub organizations: Vec<String>,
    /// It takes no new deployments; those it has go on.
    #[serde(default)]
    pub cordoned: bool,
    /// It takes no new deployments, and those it has move to other engines.
    #[serde(default)]
    pub draining: bool,
}

/// How an engine was found. Written when it changes, not at every look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineStatus {
    /// `None` until it was looked at.
    pub healthy: Option<bool>,
    /// What was wrong, or how it is, in one sentence.
    pub message: String,
    /// Unix milliseconds of the look that found it so first.
    pub checked_ms: i64,
    /// Languages it runs, as base images spell them.
    pub languages: Vec<String>,
    /// Whether it pulls functions' own images from a registry.
    pub pulls_images: bool,
    /// What the machine lacks for it, one sentence each.
    pub missing: Vec<String>,
}

impl EngineSpec {
    /// Whether functions of an organization may run on it.
    pub fn open_to(&self, org: &OrgName) -> bool {
        self.organizations.is_empty() || self.organizations.iter().any(|open| open == org.as_str())
    }

    /// # Errors
    /// The first field that breaks a rule, by its JSON path.
    pub fn check(&self) -> Result<(), Violation> {
        if self.engine_type.trim().is_empty() {
            let rule = "is required; `dispatch get engine-type` lists the types there are";
            return Err(Violation::new("type", rule));
        }
        check_reference("type", &self.engine_type)?;
        check_labels("labels", &self.labels)?;
        self.check_settings()?;
        at_least_one("maxConcurrency", self.max_concurrency.map(u64::from))?;
        at_least_one("maxMemoryMib", self.max_memory_mib)?;
        names("secrets", &self.secrets, MAX_SECRETS, |text| Name::new(text).map(drop))?;
        let organization = |text: &str| OrgName::new(text).map(drop);
        names("organizations", &self.organizations, MAX_ORGANIZATIONS, organization)
    }

    fn check_settings(&self) -> Result<(), Violation> {
        at_most("settings", self.settings.len(), MAX_SETTINGS)?;
        for (key, value) in &self.settings {
            check_reference(format!("settings.{}", start(key)), key)?;
            if value.len() > MAX_SETTING_BYTES {
                let rule = format!("is longer than {MAX_SETTING_BYTES} bytes");
                return Err(Violation::new(format!("settings.{key}"), rule));
            }
        }
        Ok(())
    }
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), Violation> {
    match count > most {
        true => Err(Violation::new(field, format!("has {count} entries, at most {most}"))),
        false => Ok(()),
    }
}

fn at_least_one(field: &str, value: Option<u64>) -> Result<(), Violation> {
    match value {
        Some(0) => Err(Violation::new(field, "must be 1 or more; leave it out for no limit")),
        _ => Ok(()),
    }
}

fn names(
    field: &str,
    all: &[String],
    most: usize,
    check: impl Fn(&str) -> Result<(), Violation>,
) -> Result<(), Violation> {
    at_most(field, all.len(), most)?;
    let mut before = HashSet::new();
    for (at, text) in all.iter().enumerate() {
        let place = format!("{field}[{at}]");
        check(text).map_err(|violation| Violation::new(&place, violation.rule))?;
        if !before.insert(text) {
            return Err(Violation::new(place, format!("{text:?} is named twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> EngineSpec {
        EngineSpec { engine_type: "openfaas".to_owned(), ..EngineSpec::default() }
    }

    #[test]
    fn an_error_names_the_field() {
        let wrong = |edit: fn(&mut EngineSpec)| {
            let mut spec = spec();
            edit(&mut spec);
            spec.check().unwrap_err().field
        };
        assert_eq!(spec().check(), Ok(()));
        assert_eq!(wrong(|s| s.engine_type.clear()), "type");
        assert_eq!(wrong(|s| drop(s.labels.insert("a b".into(), "c".into()))), "labels.a b");
        assert_eq!(wrong(|s| s.max_concurrency = Some(0)), "maxConcurrency");
        assert_eq!(wrong(|s| s.max_memory_mib = Some(0)), "maxMemoryMib");
        assert_eq!(wrong(|s| s.secrets = vec!["a".into(), "a".into()]), "secrets[1]");
        assert_eq!(wrong(|s| s.organizations = vec!["a/b".into()]), "organizations[0]");
        let huge = |s: &mut EngineSpec| {
            s.settings.insert("ca".into(), "x".repeat(MAX_SETTING_BYTES + 1));
        };
        assert_eq!(wrong(huge), "settings.ca");
    }

    #[test]
    fn an_engine_without_organizations_is_open_to_all() {
        let org = OrgName::new("acme").unwrap();
        let mut spec = spec();
        assert!(spec.open_to(&org));
        spec.organizations = vec!["other".to_owned()];
        assert!(!spec.open_to(&org));
        spec.organizations.push("acme".to_owned());
        assert!(spec.open_to(&org));
    }
}
