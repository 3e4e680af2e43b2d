//! Who may do what with runs. They are things of their function: its name and its tags decide.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use dispatch_access::{Object, Reach};
use dispatch_model::{Name, OrgName, Run};
use uuid::Uuid;

use super::run::RESOURCE;
use super::{App, Caller, Result};
use crate::authz::{Action, Authorizer};
use crate::invoke::Invoker;

impl App {
    /// Whether an action is allowed on runs of a function, of the one with that id if it is given.
    /// Its tags are looked up only where they can matter. Of a function that is gone they are not
    /// known: that never helps.
    pub(super) async fn may_run(
        &self,
        caller: &Caller,
        reach: &Reach,
        action: Action,
        function: &Name,
        id: Option<Uuid>,
    ) -> Result<()> {
        if matches!(reach, Reach::All) {
            return Ok(());
        }
        let tags = self.invoker.tags_of_one(&caller.org, function, id).await?;
        let object = Object { name: function.as_str(), tags: tags.as_ref() };
        self.authorizer.authorize_object(caller, action, RESOURCE, object)
    }

    /// Drops runs of functions that a right does not reach.
    pub(super) async fn keep_seen(
        &self,
        org: &OrgName,
        reach: &Reach,
        runs: &mut Vec<Run>,
    ) -> Result<()> {
        if matches!(reach, Reach::All) {
            return Ok(());
        }
        let mut seen: HashMap<Uuid, bool> = HashMap::new();
        for run in runs.iter() {
            let (function, id) = (&run.function_name, run.function_id);
            if let Entry::Vacant(unseen) = seen.entry(id) {
                let tags = self.invoker.tags_of_one(org, function, Some(id)).await?;
                let object = Object { name: function.as_str(), tags: tags.as_ref() };
                unseen.insert(reach.admits(object));
            }
        }
        runs.retain(|run| seen.get(&run.function_id).copied().unwrap_or_default());
        Ok(())
    }

    pub(super) fn sight_of_runs(&self, caller: &Caller) -> Arc<Sight> {
        let (authorizer, invoker) = (self.authorizer.clone(), self.invoker.clone());
        Arc::new(Sight { authorizer, invoker, caller: caller.clone() })
    }
}

/// Which runs a follower may see, by its rights at the moment.
pub(super) struct Sight {
    authorizer: Arc<Authorizer>,
    invoker: Arc<Invoker>,
    caller: Caller,
}

impl Sight {
    pub async fn sees(&self, run: &Run) -> bool {
        let reach = self.authorizer.reach(&self.caller, Action::Get, RESOURCE);
        if !matches!(reach, Reach::Some(_)) {
            return matches!(reach, Reach::All);
        }
        let function = &run.function_name;
        // What cannot be looked up now is not shown; it is in the list.
        let (org, id) = (&self.caller.org, Some(run.function_id));
        let Ok(tags) = self.invoker.tags_of_one(org, function, id).await else { return false };
        reach.admits(Object { name: function.as_str(), tags: tags.as_ref() })
    }
}
