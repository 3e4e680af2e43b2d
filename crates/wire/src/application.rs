//! Applications as v1 writes them.

use dispatch_model::application::{Application as Marker, ApplicationSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::resource_shape;

resource_shape! {
    /// A group other resources join by the tag `Application=<name>`.
    Application {}
}

impl ToModel for Application {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<ApplicationSpec, Violation> {
        Ok(ApplicationSpec {})
    }
}

impl FromModel for Application {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        Application::default().with_meta(Marker::KIND, &resource.meta)
    }
}
