//! Organizations: those that are deleted whole go here, with all that is in them.
//!
//! What is in one is deleted as its owners would have: marked, and brought away by the controller
//! of its kind, what names others before what is named; engines' deployments go with their
//! functions. Then what has no controller, then runs, and the row last. Every step finds out anew
//! what is left, so that it does not matter where a server died.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::api::Api;
use dispatch_model::application::Application;
use dispatch_model::base_image::BaseImage;
use dispatch_model::function::Function;
use dispatch_model::function_version::FunctionVersion;
use dispatch_model::group::Group;
use dispatch_model::image::Image;
use dispatch_model::image_policy::ImagePolicy;
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::organization::Organization;
use dispatch_model::policy::Policy;
use dispatch_model::resource::now_ms;
use dispatch_model::role::Role;
use dispatch_model::secret::Secret;
use dispatch_model::service_account::ServiceAccount;
use dispatch_model::session::Session;
use dispatch_model::{Kind, ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Op, Store};
use tokio::time::Instant;

use super::reconcile::{Controller, Step, write};
use crate::app::Result;
use crate::invoke::Invoker;

/// How often at most what is left is written down, in milliseconds.
const TELL_MS: i64 = 500;

/// How long runs that are under way are waited for before others are looked after.
const QUIET_WAIT: Duration = Duration::from_secs(1);
const QUIET_LOOK: Duration = Duration::from_millis(20);

pub struct Organizations {
    pub store: Store,
    pub invoker: Arc<Invoker>,
    /// Those on their way out that this server has seen.
    pub going: Mutex<HashSet<OrgName>>,
}

#[async_trait]
impl Controller for Organizations {
    type Kind = Organization;

    /// Kinds whose controllers take them away.
    const DEPENDS_ON: &'static [ResourceKind] = &[
        ResourceKind::Api,
        ResourceKind::Function,
        ResourceKind::Image,
        ResourceKind::BaseImage,
        ResourceKind::Application,
    ];

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let concerns = change.op == Op::Removed && self.going().contains(&change.org);
        let key = || (change.org.clone(), Name::trusted(change.org.as_str()));
        Ok(concerns.then(key).into_iter().collect())
    }

    async fn reconcile(&self, mut object: Resource<Organization>, _: Duration) -> Result<Step> {
        let org = object.meta.org.clone();
        if object.meta.state != State::Deleting {
            return Ok(Step::Done);
        }
        if self.going().insert(org.clone()) {
            // Another server may have been asked.
            self.invoker.close(&org);
        }
        let waits = self.empty(&org).await?;
        if waits.is_empty() && self.quiet(&org).await {
            self.store.run_delete_all(&org).await?;
            return self.remove(&object).await;
        }
        self.tell(&mut object, waits).await?;
        Ok(Step::Again { revision: object.meta.revision })
    }

    fn gone(&self, org: &OrgName, _: &Name) -> Vec<(OrgName, Name)> {
        self.going().remove(org);
        Vec::new()
    }
}

impl Organizations {
    fn going(&self) -> std::sync::MutexGuard<'_, HashSet<OrgName>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no run of it is under way any more; waits a little for those that are.
    async fn quiet(&self, org: &OrgName) -> bool {
        let deadline = Instant::now() + QUIET_WAIT;
        while self.invoker.under_way(org) > 0 {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(QUIET_LOOK).await;
        }
        true
    }

    /// Takes away what can go now. Returns why the first thing that cannot has not gone, and at
    /// least something when anything is left.
    async fn empty(&self, org: &OrgName) -> Result<Vec<String>> {
        let mut waits = self.mark::<Api>(org).await?;
        // Routes first: nothing is to be called that is not there any more.
        if waits.is_empty() {
            waits = self.mark::<Function>(org).await?;
        }
        if waits.is_empty() {
            waits = self.mark::<Image>(org).await?;
        }
        if waits.is_empty() {
            waits = self.mark::<BaseImage>(org).await?;
        }
        if waits.is_empty() {
            waits = self.mark::<Application>(org).await?;
        }
        if !waits.is_empty() {
            return Ok(waits);
        }
        self.take::<FunctionVersion>(org).await?;
        for policy in self.take::<ImagePolicy>(org).await? {
            self.store.violation_forget(org, &policy.meta.id.to_string()).await?;
        }
        self.take::<Secret>(org).await?;
        self.take::<Policy>(org).await?;
        self.take::<Role>(org).await?;
        self.take::<Group>(org).await?;
        self.take::<ServiceAccount>(org).await?;
        self.take::<Session>(org).await?;
        Ok(Vec::new())
    }

    /// Marks everything of a kind for deletion, so that its controller takes it away. Returns what
    /// those that are still there say; an empty sentence when they say nothing.
    async fn mark<K: Kind>(&self, org: &OrgName) -> Result<Vec<String>> {
        let mut waits = Vec::new();
        for mut found in self.page::<K>(org).await? {
            if found.meta.state == State::Deleting {
                let said = found
                    .meta
                    .reason
                    .first()
                    .map(|reason| format!("{} {}: {reason}", K::KIND.words(), found.meta.name));
                waits.push(said.unwrap_or_default());
                continue;
            }
            found.meta.state = State::Deleting;
            found.meta.reason = Vec::new();
            // Who changes it meanwhile brings it here again.
            write(&self.store, &mut found).await?;
            waits.push(String::new());
        }
        Ok(waits)
    }

    /// Takes away everything of a kind that has no controller to do it.
    async fn take<K: Kind>(&self, org: &OrgName) -> Result<Vec<Resource<K>>> {
        let mut taken = Vec::new();
        loop {
            let page = self.page::<K>(org).await?;
            if page.is_empty() {
                return Ok(taken);
            }
            for found in page {
                self.store.remove(&found).await?;
                taken.push(found);
            }
        }
    }

    async fn page<K: Kind>(&self, org: &OrgName) -> Result<Vec<Resource<K>>> {
        let query = ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() };
        Ok(self.store.list::<K>(org, &query).await?.items)
    }

    /// The row, when really nothing is left.
    async fn remove(&self, object: &Resource<Organization>) -> Result<Step> {
        match self.store.organization_remove(object, None).await {
            Ok(left) if left.is_empty() => Ok(Step::Done),
            // Something was stored at the last moment.
            Ok(_) => Ok(Step::Again { revision: object.meta.revision }),
            Err(dispatch_store::Error::Missing | dispatch_store::Error::Stale { .. }) => {
                Ok(Step::Done)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down what is left, now and then.
    async fn tell(&self, object: &mut Resource<Organization>, waits: Vec<String>) -> Result<()> {
        if !object.meta.reason.is_empty() && now_ms() - object.meta.modified_ms < TELL_MS {
            return Ok(());
        }
        let held = self.store.organization_holds(&object.meta.org).await?;
        let mut left: Vec<_> =
            held.iter().map(|(kind, count)| format!("{count} {}", kind.words())).collect();
        match self.invoker.under_way(&object.meta.org) {
            0 => {}
            runs => left.push(format!("{runs} runs under way")),
        }
        let mut reason = vec![format!("left: {}", left.join(", "))];
        reason.extend(waits.into_iter().find(|said| !said.is_empty()));
        if object.meta.reason != reason {
            object.meta.reason = reason;
            write(&self.store, object).await?;
        }
        Ok(())
    }
}
