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
