//! Service accounts as v1 writes them.

use std::collections::BTreeMap;

use base64::Engine as _;
use dispatch_model::service_account::{
    ServiceAccount as Marker, ServiceAccountSpec, Trust as ModelTrust,
};
use dispatch_model::{ClaimPatterns, Kind, Name, Resource, Tags, Violation};
use serde::{Deserialize, Serialize};

use crate::convert::{FromModel, ToModel};
use crate::shared::{resource_shape, tags_to_model};

resource_shape! {
    /// A caller that signs in with a key pair, or with a token of an issuer it trusts.
    ServiceAccount {
        /// Base64 of the PEM of an RSA (2048 bits or more), EC (P-256) or Ed25519 public key.
        /// Not required where `trust` says whose tokens sign in as the account.
        #[serde(default)]
        public_key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
        /// Whose tokens sign in as the account, without a key of its own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        trust: Vec<Trust>,
    }
}

/// Tokens of an identity provider whose claims all fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// Name of an identity provider of the server.
    #[serde(default)]
    pub provider: String,
    /// Of each claim, such as `sub`, patterns one of which must fit; `*` stands for any text.
    #[serde(default)]
    pub claims: BTreeMap<String, Vec<String>>,
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
        let none = self.public_key.is_empty() && !self.trust.is_empty();
        if !none && !pem.is_some_and(|text| text.trim_start().starts_with("-----BEGIN ")) {
            return Err(Violation::new("publicKey", rule));
        }
        let trust = |trust: &Trust| ModelTrust {
            provider: trust.provider.clone(),
            claims: ClaimPatterns(trust.claims.clone()),
        };
        let spec = ServiceAccountSpec {
            public_key: self.public_key.trim().to_owned(),
            domain: self.domain.clone().filter(|d| !d.is_empty()),
            trust: self.trust.iter().map(trust).collect(),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for ServiceAccount {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let trust = |trust: &ModelTrust| Trust {
            provider: trust.provider.clone(),
            claims: trust.claims.0.clone(),
        };
        ServiceAccount {
            trust: resource.spec.trust.iter().map(trust).collect(),
            public_key: resource.spec.public_key.clone(),
            domain: resource.spec.domain.clone(),
            ..ServiceAccount::default()
        }
        .with_meta(Marker::KIND, &resource.meta)
    }
}
