//! Functions: an image that is READY, and a deployment made from what is wanted now.
//!
//! A change of what runs is a new deployment beside the old one; callers are switched in one
//! write, and only then does the old one go. Where a new one cannot be made the old one goes on
//! serving.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::{Deployment, Engine, Retry};
use dispatch_model::function::{Function, FunctionStatus};
use dispatch_model::image::{Image, ImageStatus};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::Change;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Controllers;
use super::reconcile::{Controller, Step, settle, write};
use crate::app::Result;
use crate::content::{FunctionImage, Subject};
use crate::invoke::deployment::{Platform, deployment};
use crate::invoke::{GRACE, retire};

/// How long to leave a store alone that did not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub struct Functions(pub Controllers);

/// Why a function has no new deployment.
enum Obstacle {
    /// Until something it depends on changes.
    Wait(String),
    /// Until somebody changes something.
    Final(String),
    /// It may work the next time.
    Again(String),
}

impl From<dispatch_driver::Error> for Obstacle {
    fn from(error: dispatch_driver::Error) -> Self {
        let text = format!("{}: {error}", error.code);
        match error.retry {
            Retry::Never => Obstacle::Final(text),
            Retry::Now | Retry::After(_) => Obstacle::Again(text),
        }
    }
}

impl From<dispatch_images::Error> for Obstacle {
    fn from(error: dispatch_images::Error) -> Self {
        match error.is_passing() {
            true => Obstacle::Again(error.to_string()),
            false => Obstacle::Final(error.to_string()),
        }
    }
}

#[async_trait]
impl Controller for Functions {
    type Kind = Function;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::Image, ResourceKind::ImagePolicy];

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let query = match change.kind {
            // What a policy stopped may be admitted now; what runs goes on anyhow.
            ResourceKind::ImagePolicy => {
                ListQuery { state: Some(State::Error), ..ListQuery::default() }
            }
            _ => {
                let spec = vec![("image".to_owned(), change.name.to_string())];
                ListQuery { spec, ..ListQuery::default() }
            }
        };
        let functions = self.0.store.list::<Function>(&change.org, &query).await?.items;
        Ok(functions.into_iter().map(|f| (f.meta.org, f.meta.name)).collect())
    }

    async fn reconcile(&self, mut function: Resource<Function>, wait: Duration) -> Result<Step> {
        if function.meta.state == State::Deleting {
            return self.remove(function).await;
        }
        let image = match self.image(&function).await? {
            Ok(image) => image,
            // What was READY stays so, whatever becomes of its image.
            Err(_) if function.meta.state == State::Ready => return Ok(Step::Done),
            Err(obstacle) => return self.stopped(function, obstacle, wait).await,
        };
        let wanted = function.spec.engine.as_deref();
        let language = image.status.language.as_deref().unwrap_or_default();
        let platform = Platform::from(&image.status);
        let engine = match self.0.engines.for_organization(&function.meta.org, language, wanted) {
            Ok(engine) => engine,
            Err(error) => return self.stopped(function, error.into(), wait).await,
        };
        let new = deployment(Uuid::now_v7(), &function, &function.spec, platform);
        let hash = hash(&new, engine.name());
        let status = &function.status;
        if status.faas_id.is_some() && status.deployed_hash.as_deref() == Some(&hash) {
            function.status.serving = None;
            settle(&self.0.store, &mut function, State::Ready, Vec::new()).await?;
            return Ok(Step::Done);
        }
        if !self.begin(&mut function).await? {
            return Ok(Step::Done);
        }
        // Neither needs the other.
        let (made, own) = tokio::join!(make(&*engine, &new), self.0.contents.function(&new));
        let made = made.map_err(Obstacle::from).and(own.map_err(Obstacle::from));
        let made = match made {
            Ok(own) => self.admitted(&image.status, &new, own).await,
            Err(obstacle) => Err(obstacle),
        };
        match made {
            Ok(image) => self.switch(function, &engine, new, image, hash).await,
            Err(obstacle) => {
                retire(&engine, new.id, Duration::ZERO);
                self.stopped(function, obstacle, wait).await
            }
        }
    }
}

/// Builds a deployment and makes it callable.
async fn make(engine: &dyn Engine, deployment: &Deployment) -> dispatch_driver::Result<()> {
    engine.build(deployment).await?;
    engine.ensure(deployment).await
}

impl Functions {
    async fn image(
        &self,
        function: &Resource<Function>,
    ) -> Result<std::result::Result<Resource<Image>, Obstacle>> {
        let name = Name::trusted(&function.spec.image);
        let image = self.0.store.by_name::<Image>(&function.meta.org, &name).await?;
        Ok(match image.filter(|image| image.meta.state != State::Deleting) {
            None => Err(Obstacle::Final(format!("image {name} does not exist"))),
            Some(image) if image.meta.state == State::Ready => Ok(image),
            Some(image) if image.meta.state == State::Error => {
                let why = image.meta.reason.first().map_or("", String::as_str);
                Err(Obstacle::Final(format!("image {name} is in ERROR: {why}")))
            }
            Some(image) => {
                Err(Obstacle::Wait(format!("waits for image {name}: {}", image.meta.state)))
            }
        })
    }

    /// Holds what is to be deployed against the organization's policies, and publishes what they
    /// admit.
    async fn admitted(
        &self,
        image: &ImageStatus,
        new: &Deployment,
        own: Option<FunctionImage>,
    ) -> std::result::Result<Option<FunctionImage>, Obstacle> {
        let contents = &self.0.contents;
        let mut subject = Subject::image(image);
        match &own {
            Some(own) => subject.content = Some(own.digest.clone()),
            None if contents.has_policies(&new.org).await? => {
                subject.packages = contents.source_packages(new).await?;
            }
            None => {}
        }
        self.admit(new, &subject).await?;
        if let Some(own) = &own {
            contents.publish_function(new, own).await?;
            // A policy may have come while it was pushed.
            self.admit(new, &subject).await?;
        }
        Ok(own)
    }

    async fn admit(
        &self,
        new: &Deployment,
        subject: &Subject,
    ) -> std::result::Result<(), Obstacle> {
        let verdict = self.0.contents.judge(&new.org, subject).await?;
        match verdict.admits() {
            true => Ok(()),
            false => Err(Obstacle::Final(verdict.reasons().join("; "))),
        }
    }

    /// Says on the function that a deployment is being made. What serves goes on serving. False
    /// when somebody changed it meanwhile: their change brings it here again.
    async fn begin(&self, function: &mut Resource<Function>) -> Result<bool> {
        let state = match function.meta.state {
            State::Initialized | State::Creating => State::Creating,
            _ => State::Updating,
        };
        if function.meta.state == state {
            return Ok(true);
        }
        if function.status.faas_id.is_some() {
            let spec = &function.spec;
            function.status.serving.get_or_insert_with(|| Box::new(spec.clone()));
        }
        settle(&self.0.store, function, state, Vec::new()).await
    }

    /// Lets callers reach the new deployment, then takes the old one away.
    async fn switch(
        &self,
        mut function: Resource<Function>,
        engine: &Arc<dyn Engine>,
        new: Deployment,
        image: Option<FunctionImage>,
        hash: String,
    ) -> Result<Step> {
        let status = FunctionStatus {
            faas_id: Some(new.id),
            engine: Some(engine.name().to_owned()),
            function_image_url: image.as_ref().map(|i| i.url.clone()).or(Some(new.image_url)),
            digest: image.map(|image| image.digest),
            image_digest: new.image_digest,
            language: Some(new.language),
            deployed_hash: Some(hash),
            serving: None,
            keep_runs: false,
        };
        let old = std::mem::replace(&mut function.status, status);
        function.meta.state = State::Ready;
        function.meta.reason = Vec::new();
        match write(&self.0.store, &mut function).await {
            Ok(true) => {}
            // Whoever was faster brings the function here again.
            Ok(false) => {
                retire(engine, new.id, Duration::ZERO);
                return Ok(Step::Done);
            }
            Err(error) => {
                let old = self.deployed(&old);
                let either = old.into_iter().chain([(engine.clone(), new.id)]).collect();
                self.retire_unnamed(&function, either);
                return Err(error);
            }
        }
        self.0.invoker.forget(&function.meta.org, &function.meta.name);
        if let Some((engine, id)) = self.deployed(&old) {
            retire(&engine, id, GRACE);
        }
        Ok(Step::Done)
    }

    /// The store did not say which deployment it names now. Once it does, the others go.
    fn retire_unnamed(&self, function: &Resource<Function>, all: Vec<(Arc<dyn Engine>, Uuid)>) {
        let store = self.0.store.clone();
        let (org, name) = (function.meta.org.clone(), function.meta.name.clone());
        self.0.tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(async move {
            let named = loop {
                match store.by_name::<Function>(&org, &name).await {
                    Ok(found) => break found.and_then(|function| function.status.faas_id),
                    Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
                }
            };
            for (engine, id) in all.into_iter().filter(|(_, id)| Some(*id) != named) {
                retire(&engine, id, GRACE);
            }
        }));
    }

    fn deployed(&self, status: &FunctionStatus) -> Option<(Arc<dyn Engine>, Uuid)> {
        let engine = self.0.engines.get(status.engine.as_deref()?)?;
        Some((engine, status.faas_id?))
    }

    /// Says on the function what it waits for or what is wrong with it.
    async fn stopped(
        &self,
        mut function: Resource<Function>,
        obstacle: Obstacle,
        wait: Duration,
    ) -> Result<Step> {
        let pending = match function.meta.state {
            State::Ready | State::Error => State::Updating,
            state => state,
        };
        let (state, text, again) = match obstacle {
            Obstacle::Wait(text) => (pending, text, false),
            Obstacle::Final(text) => (State::Error, text, false),
            Obstacle::Again(text) => {
                (pending, format!("{text}; next try in {} s", wait.as_secs()), true)
            }
        };
        let mut reason = vec![text];
        if let Some(id) = function.status.faas_id {
            reason.push(format!("deployment {id} of an earlier version goes on serving"));
            function.status.serving.get_or_insert_with(|| Box::new(function.spec.clone()));
        }
        settle(&self.0.store, &mut function, state, reason).await?;
        Ok(if again { Step::Again { revision: function.meta.revision } } else { Step::Done })
    }

    /// The deployment first, then the runs, then the row: whatever is interrupted is repeated.
    async fn remove(&self, function: Resource<Function>) -> Result<Step> {
        let meta = &function.meta;
        self.0.invoker.forget(&meta.org, &meta.name);
        if let Some((engine, id)) = self.deployed(&function.status) {
            engine.remove(id).await.map_err(unremoved)?;
        }
        if !function.status.keep_runs {
            self.0.store.run_delete_of(&meta.org, meta.id).await?;
        }
        self.0.store.remove(&function).await?;
        Ok(Step::Done)
    }
}

fn unremoved(error: dispatch_driver::Error) -> crate::app::Error {
    let message = format!("a deployment cannot be removed: {error}");
    crate::app::Error::unavailable(error.code, message)
}

/// Names everything a deployment is made of: another hash is another deployment.
fn hash(deployment: &Deployment, engine: &str) -> String {
    let parts = json!([
        engine,
        deployment.language,
        deployment.image_url,
        deployment.image_digest,
        deployment.handler,
        deployment.source_digest,
        deployment.environment,
        deployment.timeout.as_millis() as u64,
        deployment.memory_mib,
        deployment.concurrency,
        deployment.idle.as_millis() as u64,
        deployment.egress,
    ]);
    let digest = Sha256::digest(parts.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
