//! The two directions between a shape and its resource, one impl of each a noun.

use dispatch_model::{Kind, Name, Resource, Tags, Violation};

/// A shape a caller sent, as the parts of a resource it may set.
pub trait ToModel {
    type Kind: Kind;

    /// The checked name.
    fn name(&self) -> Result<Name, Violation>;
    /// The checked tags.
    fn tags(&self) -> Result<Tags, Violation>;
    /// The checked spec. Parts the server makes itself (sources, sealed values) are left out.
    fn spec(&self) -> Result<<Self::Kind as Kind>::Spec, Violation>;
}

/// A resource as the shape a caller sees.
pub trait FromModel {
    type Kind: Kind;

    fn from_model(resource: &Resource<Self::Kind>) -> Self;
}

macro_rules! plain_name_and_tags {
    () => {
        fn name(&self) -> Result<dispatch_model::Name, dispatch_model::Violation> {
            dispatch_model::Name::new(&self.name)
        }

        fn tags(&self) -> Result<dispatch_model::Tags, dispatch_model::Violation> {
            $crate::shared::tags_to_model(&self.tags)
        }
    };
}
pub(crate) use plain_name_and_tags;
