//! What tags a function has, for rights that depend on them.

use dispatch_model::function::Function;
use dispatch_model::{Name, OrgName, Tags};
use uuid::Uuid;

use super::invoker::Invoker;
use crate::app::Result;

impl Invoker {
    /// From memory for a function that is called; not known of one that is not there.
    pub async fn tags_of(&self, org: &OrgName, function: &Name) -> Result<Option<Tags>> {
        self.tags_of_one(org, function, None).await
    }

    /// The same of the function with that id: another that has its name now says nothing of it.
    pub async fn tags_of_one(
        &self,
        org: &OrgName,
        function: &Name,
        id: Option<Uuid>,
    ) -> Result<Option<Tags>> {
        let meant = |own: Uuid| id.is_none_or(|id| id == own);
        if let Some(callable) = self.callables.get(org.as_str(), function.as_str()) {
            return Ok(meant(callable.function_id).then(|| callable.tags.clone()));
        }
        let found = self.store.by_name::<Function>(org, function).await?;
        Ok(found.filter(|found| meant(found.meta.id)).map(|function| function.meta.tags))
    }
}
