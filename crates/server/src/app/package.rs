//! Packages of images and functions, over the organization.

use dispatch_model::Violation;
use dispatch_store::content::{MAX_ROWS, PackageCount, PackageQuery, PackageUser};

use super::{App, Caller, Result};
use crate::authz::Action;

const RESOURCE: &str = "image";

impl App {
    /// The organization's packages with the number of things that have them.
    pub async fn package_list(
        &self,
        caller: &Caller,
        query: &PackageQuery,
    ) -> Result<Vec<PackageCount>> {
        self.authorizer.authorize(caller, Action::Get, RESOURCE)?;
        check(query)?;
        Ok(self.store.package_list(&caller.org, query).await?)
    }

    /// The functions and images of the organization that have a package.
    pub async fn package_users(
        &self,
        caller: &Caller,
        query: &PackageQuery,
    ) -> Result<Vec<PackageUser>> {
        self.authorizer.authorize(caller, Action::Get, RESOURCE)?;
        check(query)?;
        if query.name.as_deref().unwrap_or_default().is_empty() {
            return Err(Violation::new("name", "is required: the name of a package").into());
        }
        Ok(self.store.package_users(&caller.org, query).await?)
    }
}

fn check(query: &PackageQuery) -> Result<()> {
    if (1..=MAX_ROWS).contains(&query.limit) {
        return Ok(());
    }
    let rule = format!("is {}, must be 1 to {MAX_ROWS}", query.limit);
    Err(Violation::new("limit", rule).into())
}
