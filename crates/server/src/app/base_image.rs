//! Use cases of base images.

use dispatch_model::base_image::BaseImage;
use dispatch_model::{ListQuery, Page, Resource};
use dispatch_wire as wire;

use super::resource::check_same_name;
use super::{App, Caller, Deletion, Precondition, Result};

impl App {
    pub async fn base_image_create(
        &self,
        caller: &Caller,
        shape: wire::BaseImage,
    ) -> Result<Resource<BaseImage>> {
        self.create(caller, &shape).await
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
        check_same_name(&shape.name, name)?;
        self.replace(caller, name, &shape, precondition).await
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
