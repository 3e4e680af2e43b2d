//! Organizations as v1 writes them.

use dispatch_model::organization::{Organization as Marker, OrganizationSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::placement::Placement;
use crate::quota::Quota;
use crate::shared::{is_false, resource_shape};

resource_shape! {
    /// A tenant.
    Organization {
        /// Refuse (409) to delete what something else uses.
        #[serde(default, skip_serializing_if = "is_false")]
        protect_in_use: bool,
        /// Where functions go that say nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placement: Option<Placement>,
        /// What it may use at most. Where an organization is made without one, `[quotas]` of the
        /// server's configuration holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota: Option<Quota>,
    }
}

impl ToModel for Organization {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<OrganizationSpec, Violation> {
        let placement = self.placement.as_ref().map(Placement::to_defaults).transpose()?;
        let quota = self.quota.as_ref().map(Quota::to_model).unwrap_or_default();
        quota.check()?;
        Ok(OrganizationSpec { protect_in_use: self.protect_in_use, placement, quota })
    }
}

impl FromModel for Organization {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let protect_in_use = resource.spec.protect_in_use;
        let placement = resource.spec.placement.as_ref().map(Placement::from_model);
        let quota = Quota::from_model(&resource.spec.quota);
        Organization { protect_in_use, placement, quota, ..Organization::default() }
            .with_meta(Marker::KIND, &resource.meta)
    }
}
