//! Groups: several subjects under one name. An addition to v1.

use dispatch_model::group::{Group as Marker, GroupSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::resource_shape;

resource_shape! {
    /// Several subjects, which rules of policies call `group:NAME`.
    Group {
        /// Names of users and service accounts.
        #[serde(default)]
        members: Vec<String>,
    }
}

impl ToModel for Group {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<GroupSpec, Violation> {
        let spec = GroupSpec { members: self.members.clone() };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Group {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        Group { members: resource.spec.members.clone(), ..Group::default() }
            .with_meta(Marker::KIND, &resource.meta)
    }
}
