//! What tags a function has, for rights that depend on them.

use dispatch_model::function::Function;
use dispatch_model::{Name, OrgName, Tags};

use super::invoker::Invoker;
use crate::app::Result;

impl Invoker {
    /// From memory for a function that is called; not known of one that is not there.
    pub async fn tags_of(&self, org: &OrgName, function: &Name) -> Result<Option<Tags>> {
        if let Some(callable) = self.callables.get(org.as_str(), function.as_str()) {
            return Ok(Some(callable.tags.clone()));
        }
        let found = self.store.by_name::<Function>(org, function).await?;
        Ok(found.map(|function| function.meta.tags))
    }
}
