//! Use cases of base images.

use dispatch_model::base_image::BaseImage;
use dispatch_model::{Kind, ListQuery, Page, Resource, State};
use dispatch_wire::{self as wire, ToModel};

use super::resource::check_same_name;
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::Action;

const RESOURCE: &str = "baseimage";

impl App {
    pub async fn base_image_create(
        &self,
        caller: &Caller,
        shape: wire::BaseImage,
    ) -> Result<Resource<BaseImage>> {
        self.authorizer.authorize(caller, Action::Create, RESOURCE)?;
        let (name, tags, spec) = (shape.name()?, shape.tags()?, shape.spec()?);
        let resource = Resource::new(caller.org.clone(), name, tags, State::Initialized, spec);
        self.insert(resource).await
    }

    pub async fn base_image_get(&self, caller: &Caller, name: &str) -> Result<Resource<BaseImage>> {
        self.get(caller, name).await
    }

    pub async fn base_image_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<BaseImage>>> {
        self.list(caller, query).await
    }

    pub async fn base_image_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::BaseImage,
        precondition: Precondition,
    ) -> Result<Resource<BaseImage>> {
        self.authorizer.authorize(caller, Action::Update, BaseImage::KIND.policy_resource())?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        self.change(&caller.org, name, precondition, |resource: &mut Resource<BaseImage>| {
            resource.meta.tags = tags.clone();
            resource.meta.state = State::Updating;
            resource.spec = spec.clone();
            Ok(())
        })
        .await
    }

    pub async fn base_image_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<BaseImage>> {
        self.delete(caller, name, how, |_| {}).await
    }
}
