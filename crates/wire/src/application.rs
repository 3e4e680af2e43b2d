//! Applications as v1 writes them.

use dispatch_model::application::{Application as Marker, ApplicationSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::placement::Placement;
use crate::shared::resource_shape;

resource_shape! {
    /// A group other resources join by the tag `Application=<name>`.
    Application {
        /// Where its functions go that say nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placement: Option<Placement>,
    }
}

impl ToModel for Application {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<ApplicationSpec, Violation> {
        let placement = self.placement.as_ref().map(Placement::to_defaults).transpose()?;
        Ok(ApplicationSpec { placement })
    }
}

impl FromModel for Application {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let placement = resource.spec.placement.as_ref().map(Placement::from_model);
        Application { placement, ..Application::default() }.with_meta(Marker::KIND, &resource.meta)
    }
}
