//! Images: a base image with packages on top; what functions name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kind;

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
    /// Digest of all that went into the build: another one means another build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<String>,
    /// Bytes of its layers as they are transferred.
    #[serde(default)]
    pub size: u64,
    /// Packages found in it.
    #[serde(default)]
    pub packages: u64,
}
