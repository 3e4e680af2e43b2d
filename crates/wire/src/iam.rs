//! Organizations, policies and service accounts as v1 writes them.

use base64::Engine as _;
use dispatch_model::organization::{Organization as OrganizationMarker, OrganizationSpec};
use dispatch_model::policy::{Policy as PolicyMarker, PolicySpec, Rule as ModelRule};
use dispatch_model::service_account::{ServiceAccount as AccountMarker, ServiceAccountSpec};
use dispatch_model::{Kind, Name, Resource, Tags, Violation};
use serde::{Deserialize, Serialize};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::placement::Placement;
use crate::shared::{is_false, resource_shape, tags_to_model};

resource_shape! {
    /// A tenant.
    Organization {
        /// Refuse (409) to delete what something else uses.
        #[serde(default, skip_serializing_if = "is_false")]
        protect_in_use: bool,
        /// Where functions go that say nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placement: Option<Placement>,
    }
}

resource_shape! {
    /// Who may do what to what.
    Policy {
        #[serde(default)]
        rules: Vec<Rule>,
        /// Holds in every organization.
        #[serde(default, skip_serializing_if = "is_false")]
        global: bool,
    }
}

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

/// Grants every subject every action on every resource listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub subjects: Vec<String>,
    #[serde(default)]
    pub actions: Vec<String>,
    #[serde(default)]
    pub resources: Vec<String>,
}

/// The key that takes the place of the one-time credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootstrapClaim {
    /// Base64 of the PEM of a public key.
    pub public_key: String,
}

/// Who signs in with that key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BootstrapUser {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// Until when they are accepted, in unix seconds.
    pub expires: i64,
}

impl ToModel for Organization {
    type Kind = OrganizationMarker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<OrganizationSpec, Violation> {
        let placement = self.placement.as_ref().map(Placement::to_defaults).transpose()?;
        Ok(OrganizationSpec { protect_in_use: self.protect_in_use, placement })
    }
}

impl FromModel for Organization {
    type Kind = OrganizationMarker;

    fn from_model(resource: &Resource<OrganizationMarker>) -> Self {
        let protect_in_use = resource.spec.protect_in_use;
        let placement = resource.spec.placement.as_ref().map(Placement::from_model);
        Organization { protect_in_use, placement, ..Organization::default() }
            .with_meta(OrganizationMarker::KIND, &resource.meta)
    }
}

impl ToModel for Policy {
    type Kind = PolicyMarker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<PolicySpec, Violation> {
        let rule = |r: &Rule| ModelRule {
            subjects: r.subjects.clone(),
            actions: r.actions.clone(),
            resources: r.resources.clone(),
            ..ModelRule::default()
        };
        let spec = PolicySpec { rules: self.rules.iter().map(rule).collect(), global: self.global };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Policy {
    type Kind = PolicyMarker;

    fn from_model(resource: &Resource<PolicyMarker>) -> Self {
        let rule = |r: &ModelRule| Rule {
            subjects: r.subjects.clone(),
            actions: r.actions.clone(),
            resources: r.resources.clone(),
        };
        let rules = resource.spec.rules.iter().map(rule).collect();
        Policy { rules, global: resource.spec.global, ..Policy::default() }
            .with_meta(PolicyMarker::KIND, &resource.meta)
    }
}

impl ToModel for ServiceAccount {
    type Kind = AccountMarker;

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
    type Kind = AccountMarker;

    fn from_model(resource: &Resource<AccountMarker>) -> Self {
        ServiceAccount {
            public_key: resource.spec.public_key.clone(),
            domain: resource.spec.domain.clone(),
            ..ServiceAccount::default()
        }
        .with_meta(AccountMarker::KIND, &resource.meta)
    }
}
