//! Base images as v1 writes them.

use std::collections::BTreeMap;

use dispatch_model::base_image::{BaseImage as Marker, BaseImageSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_zero, resource_shape};

resource_shape! {
    /// What images are built on.
    BaseImage {
        /// `registry/name:tag`, or `host:LANGUAGE` for the machine's own interpreter.
        #[serde(default)]
        docker_url: String,
        #[serde(default)]
        language: String,
        /// A secret with `username` and `password`, or `token`, for the registry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Read-only: the digest in use, `sha256:<hex>`; only an update takes another.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Read-only: the digest the URL leads to now, where that is another.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_to: Option<String>,
        /// Read-only: `linux/amd64`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// Read-only: the distribution, as it calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        os: Option<String>,
        /// Read-only: what installs system packages: apt, apk, tdnf.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        package_manager: Option<String>,
        /// Read-only: bytes of its layers as they are transferred.
        #[serde(default, skip_serializing_if = "is_zero")]
        size: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        spec: BTreeMap<String, String>,
    }
}

impl ToModel for BaseImage {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<BaseImageSpec, Violation> {
        let spec = BaseImageSpec {
            docker_url: self.docker_url.clone(),
            language: self.language.clone(),
            secret: self.secret.clone().filter(|s| !s.is_empty()),
            groups: self.groups.clone(),
            spec: self.spec.clone(),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for BaseImage {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let (spec, status) = (&resource.spec, &resource.status);
        let shape = BaseImage {
            docker_url: spec.docker_url.clone(),
            language: spec.language.clone(),
            secret: spec.secret.clone(),
            digest: status.digest.clone(),
            moved_to: status.moved_to.clone(),
            platform: status.platform.clone(),
            os: status.os.clone(),
            package_manager: status.package_manager.clone(),
            size: status.size,
            groups: spec.groups.clone(),
            spec: spec.spec.clone(),
            ..BaseImage::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}
