//! Use cases of images.

use dispatch_model::base_image::BaseImage;
use dispatch_model::image::Image;
use dispatch_model::resource::now_ms;
use dispatch_model::{ListQuery, Page, Resource, State};
use dispatch_wire::{self as wire, ToModel};

use super::resource::{check_same_name, missing_reference};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::Action;

const RESOURCE: &str = "image";

impl App {
    pub async fn image_create(
        &self,
        caller: &Caller,
        shape: wire::Image,
    ) -> Result<Resource<Image>> {
        self.authorizer.authorize_some(caller, Action::Create, RESOURCE)?;
        self.check_base_image(caller, &shape).await?;
        self.create(caller, &shape).await
    }

    pub async fn image_get(&self, caller: &Caller, name: &str) -> Result<Resource<Image>> {
        self.get(caller, name).await
    }

    pub async fn image_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Image>>> {
        self.list(caller, query).await
    }

    pub async fn image_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Image,
        precondition: Precondition,
    ) -> Result<Resource<Image>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        check_same_name(&shape.name, name)?;
        self.check_base_image(caller, &shape).await?;
        self.replace(caller, name, &shape, precondition).await
    }

    /// Has an image built again with the packages that mirrors have now, instead of those that
    /// were found first.
    pub async fn image_rebuild(&self, caller: &Caller, name: &str) -> Result<Resource<Image>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        let edit = |image: &mut Resource<Image>| {
            image.meta.state = State::Updating;
            image.status.refreshed_ms = Some(now_ms());
            Ok(())
        };
        self.change(caller.act("rebuild"), &caller.org, name, Precondition::None, edit).await
    }

    pub async fn image_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Image>> {
        self.delete(caller, name, how, |_| {}).await
    }

    /// An image needs a base image that is there, as in v1.
    async fn check_base_image(&self, caller: &Caller, shape: &wire::Image) -> Result<()> {
        let base = shape.spec()?.base_image_name;
        match self.find::<BaseImage>(&caller.org, &base).await {
            Err(Error::NotFound { kind, name }) => {
                Err(missing_reference("baseImageName", kind, &name))
            }
            other => other.map(|_| ()),
        }
    }
}
