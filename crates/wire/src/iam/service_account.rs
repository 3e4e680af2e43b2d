//! Service accounts as v1 writes them.

use base64::Engine as _;
use dispatch_model::service_account::{ServiceAccount as Marker, ServiceAccountSpec};
use dispatch_model::{Kind, Name, Resource, Tags, Violation};

use crate::convert::{FromModel, ToModel};
use crate::shared::{resource_shape, tags_to_model};

resource_shape! {
    /// A caller that signs in with a key pair.
    ServiceAccount {
        /// Base64 of the PEM of an RSA (2048 bits or more), EC (P-256) or Ed25519 public key.
        #[serde(default)]
        public_key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
    }
}

impl ToModel for ServiceAccount {
    type Kind = Marker;

    fn name(&self) -> Result<Name, Violation> {
        Name::dotted(&self.name)
    }

    fn tags(&self) -> Result<Tags, Violation> {
        tags_to_model(&self.tags)
    }

    fn spec(&self) -> Result<ServiceAccountSpec, Violation> {
        let rule = "must be the base64 of the PEM of a public key";
        let pem = base64::engine::general_purpose::STANDARD.decode(self.public_key.trim());
        let pem = pem.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if !pem.is_some_and(|text| text.trim_start().starts_with("-----BEGIN ")) {
            return Err(Violation::new("publicKey", rule));
        }
        Ok(ServiceAccountSpec {
            public_key: self.public_key.trim().to_owned(),
            domain: self.domain.clone().filter(|d| !d.is_empty()),
        })
    }
}

impl FromModel for ServiceAccount {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        ServiceAccount {
            public_key: resource.spec.public_key.clone(),
            domain: resource.spec.domain.clone(),
            ..ServiceAccount::default()
        }
        .with_meta(Marker::KIND, &resource.meta)
    }
}
