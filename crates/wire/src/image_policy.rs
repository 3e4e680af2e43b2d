//! Policies of images. An addition to v1.

use dispatch_model::image_policy::{ImagePolicy as Marker, ImagePolicySpec, Mode, Rule};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::resource_shape;

resource_shape! {
    /// What an organization admits into its images: of the rules of a kind, the first that matches
    /// decides.
    ImagePolicy {
        /// `enforce` (the default) or `warn`: then nothing is stopped.
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        rules: Vec<Rule>,
        /// Public keys (PEM, ECDSA over P-256) whose signatures count for the match `unsigned`,
        /// beside this installation's own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
    }
}

impl ToModel for ImagePolicy {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<ImagePolicySpec, Violation> {
        let (mode, rules, keys) = (self.mode, self.rules.clone(), self.keys.clone());
        let spec = ImagePolicySpec { mode, rules, keys };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for ImagePolicy {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let ImagePolicySpec { mode, rules, keys } = resource.spec.clone();
        ImagePolicy { mode, rules, keys, ..ImagePolicy::default() }
            .with_meta(Marker::KIND, &resource.meta)
    }
}
