//! Functions: versions of what is wanted, on the engines they belong on.
//!
//! A change of what runs is a new version with a deployment of its own beside the others; calls are
//! switched to it in one write, and only then do those go that nothing needs any more. Where a new
//! one cannot be made the old ones go on serving. A deployment is written down before it is made
//! and until it is gone, so that whoever goes on after a crash knows what there may be.

mod deployments;
mod engine_news;
mod lease;
mod newest;
mod obstacle;
mod traffic;

use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::application::APPLICATION_TAG;
use dispatch_model::function::{Function, FunctionStatus};
use dispatch_model::function_version::FunctionVersion;
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::Change;

use self::engine_news::EngineNews;
use self::newest::New;
use self::obstacle::Trouble;
use self::traffic::Wanted;
use super::Controllers;
use super::queue::Key;
use super::reconcile::{Controller, Step, write};
use crate::app::Result;

pub struct Functions(pub Controllers, EngineNews);

impl Functions {
    pub fn new(controllers: Controllers) -> Self {
        Self(controllers, EngineNews::default())
    }
}

#[async_trait]
impl Controller for Functions {
    type Kind = Function;

    const DEPENDS_ON: &'static [ResourceKind] = &[
        ResourceKind::Image,
        ResourceKind::ImagePolicy,
        ResourceKind::Api,
        ResourceKind::Engine,
        ResourceKind::Application,
        ResourceKind::Organization,
    ];

    async fn load(&self) -> Result<Vec<Key>> {
        self.1.left(&self.0.store).await
    }

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let query = match change.kind {
            // What a policy stopped may be admitted now; what runs goes on anyhow.
            ResourceKind::ImagePolicy => {
                ListQuery { state: Some(State::Error), ..ListQuery::default() }
            }
            ResourceKind::Api => return self.named_by(change).await,
            ResourceKind::Engine => return self.1.concerned(&self.0.store, change).await,
            ResourceKind::Application => ListQuery {
                tags: vec![(APPLICATION_TAG.to_owned(), change.name.to_string())],
                ..ListQuery::default()
            },
            ResourceKind::Organization => ListQuery::default(),
            _ => {
                let spec = vec![("image".to_owned(), change.name.to_string())];
                ListQuery { spec, ..ListQuery::default() }
            }
        };
        let functions = self.0.store.list::<Function>(&change.org, &query).await?.items;
        Ok(functions.into_iter().map(|f| (f.meta.org, f.meta.name)).collect())
    }

    async fn reconcile(&self, mut function: Resource<Function>, wait: Duration) -> Result<Step> {
        if self.is_elsewhere(&function) {
            // A change by that server brings the function here again, or else the end of its lease.
            return Ok(Step::Again { revision: function.meta.revision });
        }
        if function.meta.state == State::Deleting {
            return self.remove(function).await;
        }
        let mut trouble = Trouble::default();
        let mut new = self.newest(&function).await?.unwrap_or_else(|obstacle| {
            trouble.obstacle = Some(obstacle);
            None
        });
        let wanted = self.wanted(&function, new.as_ref()).await?;
        let before = function.status.deployments.clone();
        if !self.begin(&mut function, &wanted, new.is_some()).await? {
            return Ok(Step::Done);
        }
        let noted = function.clone();
        let work = async {
            if let Some(made) = new.take() {
                new = self.make(made, &wanted, &mut trouble).await?;
            }
            // Where the new one could not be made the others go on, as they are wanted without it.
            let mut wanted = self.wanted(&noted, new.as_ref()).await?;
            self.complete(&noted, &before, &mut wanted, &mut trouble).await;
            wanted.settle_for_what_is_there(&noted.status, &mut trouble);
            Ok::<_, crate::app::Error>(wanted)
        };
        let wanted = self.holding(&mut function, work).await?;
        self.switch(function, wanted, new, trouble, wait).await
    }
}

impl Functions {
    /// The function whose version an API that changed names.
    async fn named_by(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let api = self.0.store.by_name(&change.org, &change.name).await?;
        let named = api.as_ref().and_then(traffic::version_named_by);
        Ok(named.map(|(function, _)| (change.org.clone(), function)).into_iter().collect())
    }

    /// Writes down what is going to be made, if there is anything. What serves goes on serving.
    /// False when somebody changed the function meanwhile: their change brings it here again.
    async fn begin(
        &self,
        function: &mut Resource<Function>,
        wanted: &Wanted,
        anew: bool,
    ) -> Result<bool> {
        let before = function.status.deployments.clone();
        let making = deployments::note(&mut function.status.deployments, &wanted.deployments);
        let state = match function.meta.state {
            State::Initialized | State::Creating if anew => State::Creating,
            _ if anew => State::Updating,
            // Whoever finds it so goes on. What lacks an engine and is tried again, as its lease
            // says, may be READY meanwhile.
            State::Ready if making && function.status.lease.is_none() => State::Updating,
            state => state,
        };
        if anew || making {
            function.status.lease = Some(self.lease());
        } else if function.status.deployments == before {
            return Ok(true);
        }
        function.meta.state = state;
        if anew {
            function.meta.reason = Vec::new();
        }
        write(&self.0.store, function).await
    }

    /// Lets calls reach what is wanted, then takes the rest away.
    async fn switch(
        &self,
        mut function: Resource<Function>,
        wanted: Wanted,
        new: Option<New>,
        mut trouble: Trouble,
        wait: Duration,
    ) -> Result<Step> {
        let (meta, status) = (function.meta.clone(), function.status.clone());
        apply(&mut function.status, &wanted, new.as_ref());
        let leaving = self.leaving(&mut function, &status.deployments);
        let removed = self.remove_retiring(&mut function.status).await;
        let serving = wanted.serving.as_ref().map(|serving| serving.version);
        let serving = serving.filter(|version| !wanted.engines(*version).is_empty());
        trouble.obstacle = trouble.obstacle.or(wanted.obstacle);
        // Who is going to try again is who tried; for a while, as that server may die, too.
        function.status.lease = trouble.may_pass().then(|| self.lease());
        let (state, mut reason) = trouble.words(meta.state, serving, wait);
        if state == State::Ready {
            reason.extend(traffic::waiting(&function.status));
            reason.extend(wanted.unknown);
        }
        (function.meta.state, function.meta.reason) = (state, reason);
        let changed = function.status != status
            || (function.meta.state, &function.meta.reason) != (meta.state, &meta.reason);
        // Whoever was faster brings the function here again, with all that is written down.
        if changed && !write(&self.0.store, &mut function).await? {
            return Ok(Step::Done);
        }
        if changed {
            self.0.invoker.forget(&meta.org, &meta.name);
        }
        self.retire(leaving);
        self.forget_versions(&function).await?;
        let again = trouble.may_pass() || !removed || !function.status.retiring.is_empty();
        let revision = function.meta.revision;
        Ok(if again { Step::Again { revision } } else { Step::Done })
    }

    /// The deployments first, then the versions and runs, then the row: whatever is interrupted is
    /// repeated.
    async fn remove(&self, function: Resource<Function>) -> Result<Step> {
        let meta = &function.meta;
        self.0.invoker.forget(&meta.org, &meta.name);
        for (engine, id) in deployments::all(&function.status) {
            if let Some(engine) = self.0.engines.get(&engine) {
                engine.remove(id).await.map_err(unremoved)?;
            }
        }
        for version in self.versions(&function).await? {
            self.0.store.remove(&version).await?;
        }
        if !function.status.keep_runs {
            self.0.store.run_delete_of(&meta.org, meta.id).await?;
        }
        self.0.store.remove(&function).await?;
        Ok(Step::Done)
    }

    /// All versions of a function, the newest first.
    async fn versions(
        &self,
        function: &Resource<Function>,
    ) -> Result<Vec<Resource<FunctionVersion>>> {
        let spec = vec![("function".to_owned(), function.meta.name.to_string())];
        let query = ListQuery { spec, ..ListQuery::default() };
        let found = self.0.store.list::<FunctionVersion>(&function.meta.org, &query).await?;
        let mut versions = found.items;
        versions.sort_by_key(|version| std::cmp::Reverse(version.spec.number));
        Ok(versions)
    }
}

/// Writes what serves from now on into the status.
fn apply(status: &mut FunctionStatus, wanted: &Wanted, new: Option<&New>) {
    if let Some(New { version, .. }) = new {
        status.latest = version.number;
        status.latest_hash = Some(version.hash.clone());
    }
    status.deployments.clone_from(&wanted.deployments);
    let Some((serving, stable)) = wanted.serving.as_ref().zip(wanted.stable.as_ref()) else {
        return;
    };
    let before = status.serving.as_ref().map(|before| before.version);
    if let Some(before) = before.filter(|before| *before != serving.version) {
        status.previous = Some(before);
    }
    status.serving = Some(serving.clone());
    status.faas_id = Some(stable.faas_id);
    let first = status.deployed(serving.version).and_then(|d| d.engines.first());
    status.engine = first.cloned();
    let url = stable.function_image_url.as_ref().unwrap_or(&stable.image_url);
    status.function_image_url = Some(url.clone());
    status.digest.clone_from(&stable.digest);
    status.image_digest.clone_from(&stable.image_digest);
}

fn unremoved(error: dispatch_driver::Error) -> crate::app::Error {
    let message = format!("a deployment cannot be removed: {error}");
    crate::app::Error::unavailable(error.code, message)
}
