//! Base images as v1 writes them.

use std::collections::BTreeMap;

use dispatch_model::base_image::{BaseImage as Marker, BaseImageSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::resource_shape;

resource_shape! {
    /// What images are built on.
    BaseImage {
        /// `registry/name:tag`, or `host:LANGUAGE` for the machine's own interpreter.
        #[serde(default)]
        docker_url: String,
        #[serde(default)]
        language: String,
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
        let spec = &resource.spec;
        let shape = BaseImage {
            docker_url: spec.docker_url.clone(),
            language: spec.language.clone(),
            groups: spec.groups.clone(),
            spec: spec.spec.clone(),
            ..BaseImage::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}
