//! One installed package.

use dispatch_model::Ecosystem;
use serde::{Deserialize, Serialize};

/// Longest name and version; longer ones are damage or an attack, and become notes.
const MAX_NAME: usize = 300;
const MAX_VERSION: usize = 200;

/// A package as its own metadata describes it. The order is that of lists: ecosystem, name,
/// version, architecture, location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    pub ecosystem: Ecosystem,
    /// As its ecosystem writes it: `openssl`, `@scope/name`, `group:artifact`, `vendor/name`.
    pub name: String,
    /// In full: with a distribution's epoch and revision (`1:3.0-2`).
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Path in the image of the metadata that says so.
    pub location: String,
    /// SPDX expressions where the text could be understood as one (see
    /// [`crate::inventory::licence::is_expression`]), else the text; all of them apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Package URL.
    pub purl: String,
    /// `ALGORITHM:HEX` (`sha1`, `sha256`, `sha512`) as the package manager recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Who maintains or sells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// What a distribution built it from; vulnerabilities are published by that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Names of packages of the same ecosystem it needs, sorted; they need not be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
}

/// A source package of a distribution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub version: String,
}

impl Package {
    pub(super) fn new(ecosystem: Ecosystem, name: &str, version: &str, location: &str) -> Self {
        Self {
            ecosystem,
            name: name.trim().to_owned(),
            version: version.trim().to_owned(),
            architecture: None,
            location: location.to_owned(),
            licences: Vec::new(),
            purl: String::new(),
            checksum: None,
            supplier: None,
            source: None,
            dependencies: Vec::new(),
        }
    }

    /// Dependencies sorted and each once, without itself.
    pub(super) fn depends_on(&mut self, names: impl IntoIterator<Item = String>) {
        let mut names: Vec<String> = names.into_iter().filter(|n| *n != self.name).collect();
        names.sort();
        names.dedup();
        self.dependencies = names;
    }

    /// What is wrong with a name or a version.
    pub(super) fn plausible(&self) -> Result<(), String> {
        for (field, value, max) in
            [("name", &self.name, MAX_NAME), ("version", &self.version, MAX_VERSION)]
        {
            if value.is_empty() {
                return Err(format!("a package without a {field}"));
            }
            if value.len() > max || value.chars().any(char::is_control) {
                let start: String = value.chars().take(40).collect();
                return Err(format!("a package with the {field} {start:?}…: at most {max} bytes"));
            }
        }
        Ok(())
    }
}
