//! Use cases of APIs.

use dispatch_model::api::Api;
use dispatch_model::{ListQuery, Page, Resource};
use dispatch_wire as wire;

use super::resource::check_same_name;
use super::{App, Caller, Deletion, Precondition, Result};

impl App {
    pub async fn api_create(&self, caller: &Caller, shape: wire::Api) -> Result<Resource<Api>> {
        self.create(caller, &shape).await
    }

    pub async fn api_get(&self, caller: &Caller, name: &str) -> Result<Resource<Api>> {
        self.get(caller, name).await
    }

    pub async fn api_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Api>>> {
        self.list(caller, query).await
    }

    pub async fn api_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Api,
        precondition: Precondition,
    ) -> Result<Resource<Api>> {
        check_same_name(&shape.name, name)?;
        self.replace(caller, name, &shape, precondition).await
    }

    pub async fn api_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Api>> {
        self.delete(caller, name, how, |_| {}).await
    }
}
