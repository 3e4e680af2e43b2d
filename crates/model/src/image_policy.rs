//! What an organization admits into its images.
//!
//! # For operators
//!
//! A policy is a list of rules. Each speaks of one kind of thing: packages, base images,
//! vulnerabilities, or missing signatures; which one follows from the fields of its `match`. For
//! every package, base image, … of an image the rules of its kind are gone through from the top,
//! and **the first that matches decides**: `allow` lets it pass, `warn` reports it, `deny` stops
//! the build or the deployment. What no rule matches passes. So exceptions stand above the rule
//! they are from, and a list of all that is allowed ends in a rule that denies `*`:
//!
//! ```json
//! { "mode": "enforce", "rules": [
//!   { "name": "ours", "effect": "allow", "match": { "baseImage": "registry.example.com/os/*" } },
//!   { "name": "no other bases", "effect": "deny", "match": { "baseImage": "*" } },
//!   { "name": "signed", "effect": "deny", "match": { "unsigned": true } },
//!   { "name": "accepted risk", "effect": "allow", "match": { "vulnerability": "CVE-2024-1234" } },
//!   { "name": "nothing critical", "effect": "deny", "match": { "severity": { "above": "HIGH" } },
//!     "graceDays": 14 },
//!   { "name": "old openssl", "effect": "deny",
//!     "match": { "package": "openssl", "ecosystem": "deb", "version": "< 3.0.11" } },
//!   { "name": "free enough", "effect": "allow", "match": { "licence": ["MIT", "BSD-*", "ISC"] } },
//!   { "name": "other licences", "effect": "warn", "match": { "licence": "*" } }
//! ] }
//! ```
//!
//! In `mode: warn` nothing stops anything: a way to see what a policy would do.
//!
//! `unsigned` trusts this installation's own key and the public keys (PEM, ECDSA over P-256, as
//! `cosign generate-key-pair` writes them) that the policy lists in `keys`.

mod check;
mod range;

use serde::{Deserialize, Serialize};

use crate::{Ecosystem, NoStatus, Severity, kind};

pub use range::{Comparison, VersionRange};

kind!(
    /// Marks image policies.
    ImagePolicy, ImagePolicySpec, NoStatus
);

/// Rules of one policy.
pub const MAX_RULES: usize = 256;
/// Globs in one field, and characters of a text.
pub const MAX_GLOBS: usize = 100;
/// Globs of one policy together.
pub const MAX_ALL_GLOBS: usize = 2_000;
pub const MAX_TEXT: usize = 300;
pub const MAX_GRACE_DAYS: u32 = 3650;
/// Public keys of one policy, and bytes of one.
pub const MAX_KEYS: usize = 32;
pub const MAX_KEY_BYTES: usize = 4096;

/// The rules of an organization, the first that matches a thing decides on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePolicySpec {
    #[serde(default)]
    pub mode: Mode,
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Public keys (PEM) whose signatures count beside this installation's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// Whether `deny` stops anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicyMode))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Enforce,
    /// Everything that is denied is only reported.
    Warn,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicyRule))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Unique in the policy; messages name it.
    pub name: String,
    pub effect: Effect,
    #[serde(rename = "match")]
    pub matches: Match,
    /// For `deny`: days from the first time a thing was found to break the rule until it stops
    /// anything; before, it is reported with the date.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grace_days: u32,
}

fn is_zero(days: &u32) -> bool {
    *days == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicyEffect))]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Allow,
    Warn,
    Deny,
}

/// What a rule is about: all fields that are set must match. In globs `*` stands for any number
/// of characters, `?` for one; of several globs one must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicyMatch))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Names of packages; for distributions also of their source packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Globs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<Ecosystem>,
    /// Versions, compared as the package's ecosystem compares them: `< 3.0.11`,
    /// `>= 2.0, < 2.17.1`, `1.2.3`; alternatives are separated by `||`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SPDX identifiers. Of `A OR B` the licensee chooses, so an `allow` needs one of them and a
    /// `deny` must match both; of `A AND B` an `allow` needs both. A package that says nothing
    /// has the licence `NOASSERTION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Globs>,
    /// `registry/name:tag`, `registry/name@sha256:…`, `registry/name` or a digest alone; also
    /// `host:*` for the machine's own programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image: Option<Globs>,
    /// Ids and aliases of vulnerabilities: `CVE-2024-1234`, `GHSA-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vulnerability: Option<Globs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// `true`: images that carry no signature by a key the organization trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<bool>,
}

/// Vulnerabilities worse than the worst one that is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicySeverity))]
#[serde(deny_unknown_fields)]
pub struct SeverityMatch {
    /// `HIGH` matches critical ones only; `UNKNOWN` matches all that are rated.
    pub above: Severity,
}

/// One glob or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImagePolicyGlobs))]
#[serde(untagged)]
pub enum Globs {
    One(String),
    Many(Vec<String>),
}

impl Globs {
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(glob) => std::slice::from_ref(glob),
            Self::Many(globs) => globs,
        }
    }
}
