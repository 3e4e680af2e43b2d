//! Roles: named sets of what may be done. An addition to v1.

use dispatch_model::role::{BUILT_IN, Permission as ModelPermission, Role as Marker, RoleSpec};
use dispatch_model::{Kind, Resource, Violation};
use serde::{Deserialize, Serialize};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_false, resource_shape};

resource_shape! {
    /// A named set of what may be done, which rules of policies give to their subjects.
    Role {
        #[serde(default)]
        permissions: Vec<Permission>,
        /// Read-only: every organization has it, and nobody changes it.
        #[serde(default, skip_serializing_if = "is_false")]
        built_in: bool,
    }
}

/// Every action on every resource listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// get, create, update, delete or *.
    #[serde(default)]
    pub actions: Vec<String>,
    /// function, runs, iam, … or *; with names as `function/shop` or `function/shop-*`.
    #[serde(default)]
    pub resources: Vec<String>,
}

impl ToModel for Role {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<RoleSpec, Violation> {
        let permission = |p: &Permission| ModelPermission {
            actions: p.actions.clone(),
            resources: p.resources.clone(),
        };
        let spec = RoleSpec { permissions: self.permissions.iter().map(permission).collect() };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Role {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let permission = |p: &ModelPermission| Permission {
            actions: p.actions.clone(),
            resources: p.resources.clone(),
        };
        let permissions = resource.spec.permissions.iter().map(permission).collect();
        let built_in = BUILT_IN.contains(&resource.meta.name.as_str());
        let mut role = Role { permissions, built_in, ..Role::default() }
            .with_meta(Marker::KIND, &resource.meta);
        if built_in {
            // It was never made.
            (role.id, role.revision) = (None, None);
            (role.created_time, role.modified_time) = (None, None);
        }
        role
    }
}
