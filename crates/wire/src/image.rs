//! Images as v1 writes them.

use std::collections::BTreeMap;

use dispatch_model::image::{Image as Marker, ImageSpec, SystemPackage as ModelPackage};
use dispatch_model::name::check_reference;
use dispatch_model::{Kind, Resource, Violation};
use serde::{Deserialize, Serialize};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_zero, resource_shape};

/// Longest package manifest, in bytes: 1 MiB.
pub const MAX_MANIFEST: usize = 1 << 20;

resource_shape! {
    /// What functions run on: a base image and packages.
    Image {
        #[serde(default)]
        base_image_name: String,
        /// Read-only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        docker_url: Option<String>,
        /// Read-only: the base image's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Read-only: digest of its manifest, `sha256:<hex>`; none on `host:LANGUAGE`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Read-only: digest of the base image it was built on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_digest: Option<String>,
        /// Read-only: bytes of its layers as they are transferred.
        #[serde(default, skip_serializing_if = "is_zero")]
        size: u64,
        /// Read-only: packages found in it.
        #[serde(default, skip_serializing_if = "is_zero")]
        packages: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runtime_dependencies: Option<RuntimeDependencies>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_dependencies: Option<SystemDependencies>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        spec: BTreeMap<String, String>,
    }
}

/// Packages of the language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RuntimeDependencies {
    /// The manifest itself, or in YAML `@file`, which the CLI reads.
    #[serde(default)]
    pub manifest: String,
}

/// Packages of the base image's distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SystemDependencies {
    #[serde(default)]
    pub packages: Vec<SystemPackage>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SystemPackage {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ToModel for Image {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<ImageSpec, Violation> {
        if self.base_image_name.trim().is_empty() {
            return Err(Violation::new("baseImageName", "is required: the name of a base image"));
        }
        check_reference("baseImageName", &self.base_image_name)?;
        let manifest = self.runtime_dependencies.as_ref().map(|d| d.manifest.clone());
        if manifest.as_ref().is_some_and(|m| m.len() > MAX_MANIFEST) {
            let rule = format!("must be at most {MAX_MANIFEST} bytes");
            return Err(Violation::new("runtimeDependencies.manifest", rule));
        }
        let given = |version: &Option<String>| version.clone().filter(|v| !v.is_empty());
        let packages = self.system_dependencies.as_ref().map_or(&[][..], |d| &d.packages);
        let package =
            |p: &SystemPackage| ModelPackage { name: p.name.clone(), version: given(&p.version) };
        let spec = ImageSpec {
            base_image_name: self.base_image_name.clone(),
            runtime_manifest: manifest.filter(|m| !m.is_empty()),
            system_packages: packages.iter().map(package).collect(),
            groups: self.groups.clone(),
            spec: self.spec.clone(),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Image {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let spec = &resource.spec;
        let package =
            |p: &ModelPackage| SystemPackage { name: p.name.clone(), version: p.version.clone() };
        let packages: Vec<_> = spec.system_packages.iter().map(package).collect();
        let shape = Image {
            base_image_name: spec.base_image_name.clone(),
            docker_url: resource.status.docker_url.clone(),
            language: resource.status.language.clone(),
            digest: resource.status.digest.clone(),
            base_digest: resource.status.base_digest.clone(),
            size: resource.status.size,
            packages: resource.status.packages,
            runtime_dependencies: spec
                .runtime_manifest
                .clone()
                .map(|manifest| RuntimeDependencies { manifest }),
            system_dependencies: (!packages.is_empty()).then_some(SystemDependencies { packages }),
            groups: spec.groups.clone(),
            spec: spec.spec.clone(),
            ..Image::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}
