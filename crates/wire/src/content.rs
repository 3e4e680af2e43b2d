//! What images are made of. Additions to v1.

use serde::{Deserialize, Serialize};

/// A package and how many of the organization's things have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageCount {
    pub name: String,
    /// `deb`, `apk`, `rpm`, `pypi`, `npm`, `gem`, `maven`, `composer`, …
    pub ecosystem: String,
    pub version: String,
    /// Images and base images.
    pub images: i64,
    pub functions: i64,
}

/// Something that has a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageUser {
    /// `Function`, `Image`, `BaseImage`.
    pub kind: String,
    pub name: String,
    pub package: String,
    pub ecosystem: String,
    pub version: String,
}

/// What a base image, an image or a function is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// `sha256:<hex>` of its manifest.
    pub digest: String,
    /// `base-image`, `image`, `function`.
    pub kind: String,
    /// The distribution, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// `linux/amd64`.
    pub platform: String,
    /// What it is made on, the base image first.
    pub chain: Vec<Link>,
    /// The lowest first.
    pub layers: Vec<Layer>,
    pub packages: Vec<Package>,
    /// What could not be read in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Content that other content is made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// `base-image`, `image`.
    pub kind: String,
    pub digest: String,
}

/// A layer of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    pub digest: String,
    /// Bytes as they are transferred.
    pub size: u64,
    /// What made it, as its image tells.
    pub created_by: String,
}

/// A package that was found in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Package {
    pub name: String,
    pub ecosystem: String,
    pub version: String,
    /// SPDX expressions where the package's own words could be read as one, else its words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Package URL.
    pub purl: String,
    /// Path in the image of what says so.
    pub location: String,
}
