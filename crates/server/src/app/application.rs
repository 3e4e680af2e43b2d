//! Use cases of applications.

use dispatch_model::application::Application;
use dispatch_model::{ListQuery, Page, Resource};
use dispatch_wire as wire;

use super::resource::check_same_name;
use super::{App, Caller, Deletion, Precondition, Result};

impl App {
    pub async fn application_create(
        &self,
        caller: &Caller,
        shape: wire::Application,
    ) -> Result<Resource<Application>> {
        self.create(caller, &shape).await
    }

    pub async fn application_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Resource<Application>> {
        self.get(caller, name).await
    }

    pub async fn application_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Application>>> {
        self.list(caller, query).await
    }

    pub async fn application_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Application,
        precondition: Precondition,
    ) -> Result<Resource<Application>> {
        check_same_name(&shape.name, name)?;
        self.replace(caller, name, &shape, precondition).await
    }

    pub async fn application_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Application>> {
        self.delete(caller, name, how, |_| {}).await
    }
}
