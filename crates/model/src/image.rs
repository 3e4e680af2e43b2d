//! Images: a base image with packages on top; what functions name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Violation, kind};

kind!(
    /// Marks images.
    Image, ImageSpec, ImageStatus
);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    pub base_image_name: String,
    /// The language's own package manifest, verbatim (`requirements.txt`, `package.json`, …).
    pub runtime_manifest: Option<String>,
    pub system_packages: Vec<SystemPackage>,
    pub groups: Vec<String>,
    /// Free attributes, kept as given (v1).
    pub spec: BTreeMap<String, String>,
}

/// A package of the base image's distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPackage {
    pub name: String,
    pub version: Option<String>,
}

/// Most system packages one image may name.
pub const MAX_SYSTEM_PACKAGES: usize = 256;
/// Longest name or version of a package, in bytes.
const MAX_WORD: usize = 200;

impl ImageSpec {
    /// Rules that need nothing but the spec itself.
    pub fn check(&self) -> Result<(), Violation> {
        let count = self.system_packages.len();
        if count > MAX_SYSTEM_PACKAGES {
            let rule = format!("has {count} entries, at most {MAX_SYSTEM_PACKAGES} are allowed");
            return Err(Violation::new("systemDependencies.packages", rule));
        }
        let packages = self.system_packages.iter().enumerate();
        packages.into_iter().try_for_each(|(at, package)| package.check(at))
    }
}

impl SystemPackage {
    /// The words become arguments of a package manager in a shell, so that they hold nothing but
    /// what names and versions of Debian, Alpine and RPM packages do.
    fn check(&self, at: usize) -> Result<(), Violation> {
        let field = |name: &str| format!("systemDependencies.packages[{at}].{name}");
        let word = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
            starts && text.len() <= MAX_WORD && text.chars().all(fits)
        };
        if !word(&self.name, "+._-") {
            let rule = format!("is {:?}, must match ^[A-Za-z0-9][A-Za-z0-9+._-]*$", self.name);
            return Err(Violation::new(field("name"), rule));
        }
        match &self.version {
            Some(version) if !word(version, "+._-:~") => {
                let rule = format!("is {version:?}, must match ^[A-Za-z0-9][A-Za-z0-9+._:~-]*$");
                Err(Violation::new(field("version"), rule))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStatus {
    /// Where the image is; equals the base image's URL while nothing is added to it.
    pub docker_url: Option<String>,
    /// Copied from the base image.
    pub language: Option<String>,
    /// Digest of its manifest; absent where functions run on the machine's own programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Digest of the base image it was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<String>,
    /// Where that base image was fetched from, whatever its resource says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Digest of all that went into the build: another one means another build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<String>,
    /// Unix milliseconds: packages are what mirrors had after that. Absent until somebody asked for
    /// newer ones than were found first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_ms: Option<i64>,
    /// Bytes of its layers as they are transferred.
    #[serde(default)]
    pub size: u64,
    /// Packages found in it.
    #[serde(default)]
    pub packages: u64,
}
