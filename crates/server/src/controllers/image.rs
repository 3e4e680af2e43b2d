//! Images: a base image that is READY, and what is built on it.
//!
//! What was READY stays so until something better is: functions on it go on running.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::base_image::BaseImage;
use dispatch_model::image::{Image, ImageStatus};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Store};
use tokio::sync::Mutex;

use super::queue::Key;
use super::reconcile::{Controller, Step, settle, write};
use crate::app::Result;
use crate::content::{Contents, Subject, Verdict};

pub struct Images {
    pub store: Store,
    pub contents: Arc<Contents>,
    /// Images whose content was not there at the start.
    pub lost: Mutex<HashSet<Key>>,
}

#[async_trait]
impl Controller for Images {
    type Kind = Image;

    const DEPENDS_ON: &'static [ResourceKind] =
        &[ResourceKind::BaseImage, ResourceKind::ImagePolicy];

    /// Images whose content is neither here nor in a registry are built again. Where other servers
    /// may be, it may be with one of them.
    async fn load(&self) -> Result<Vec<Key>> {
        if !self.store.is_sqlite() {
            return Ok(Vec::new());
        }
        let query = ListQuery { state: Some(State::Ready), ..ListQuery::default() };
        let mut lost = Vec::new();
        for image in self.store.list_all::<Image>(&query).await?.items {
            if !self.contents.image_here(&image.status).await {
                lost.push((image.meta.org, image.meta.name));
            }
        }
        self.lost.lock().await.extend(lost.iter().cloned());
        Ok(lost)
    }

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let spec = match change.kind {
            // A policy concerns all images of its organization.
            ResourceKind::ImagePolicy => Vec::new(),
            _ => vec![("base_image_name".to_owned(), change.name.to_string())],
        };
        let query = ListQuery { spec, ..ListQuery::default() };
        let images = self.store.list::<Image>(&change.org, &query).await?.items;
        Ok(images.into_iter().map(|image| (image.meta.org, image.meta.name)).collect())
    }

    async fn reconcile(&self, mut object: Resource<Image>, wait: Duration) -> Result<Step> {
        if object.meta.state == State::Deleting {
            self.store.remove(&object).await?;
            return Ok(Step::Done);
        }
        let name = Name::trusted(&object.spec.base_image_name);
        let base = self.store.by_name::<BaseImage>(&object.meta.org, &name).await?;
        match base.filter(|base| base.meta.state != State::Deleting) {
            Some(base) if base.meta.state == State::Ready => {
                return self.on(object, &base, wait).await;
            }
            // What was built stays, if it is still admitted.
            _ if self.contents.is_built(&object) => return self.judge(object, wait).await,
            _ if object.meta.state == State::Ready => {}
            Some(base) if base.meta.state == State::Error => {
                let why = base.meta.reason.first().map_or("", String::as_str);
                let reason = vec![format!("base image {name} is in ERROR: {why}")];
                settle(&self.store, &mut object, State::Error, reason).await?;
            }
            Some(base) => {
                let reason = vec![format!("waits for base image {name}: {}", base.meta.state)];
                let state = object.meta.state;
                settle(&self.store, &mut object, state, reason).await?;
            }
            None => {
                let reason = vec![format!("base image {name} does not exist")];
                settle(&self.store, &mut object, State::Error, reason).await?;
            }
        }
        Ok(Step::Done)
    }
}

impl Images {
    /// Builds it on a base that is READY, unless it was built from the same before.
    async fn on(
        &self,
        mut image: Resource<Image>,
        base: &Resource<BaseImage>,
        wait: Duration,
    ) -> Result<Step> {
        let inputs = self.contents.image_inputs(&image, base);
        if image.status.built_from.as_deref() == Some(inputs.as_str())
            && !self.lost.lock().await.remove(&(image.meta.org.clone(), image.meta.name.clone()))
        {
            return self.judge(image, wait).await;
        }
        if !self.begin(&mut image, base).await? {
            return Ok(Step::Done);
        }
        match self.built(&image, base).await {
            Ok(Ok((status, verdict))) => {
                image.status = status;
                let (state, reason) = told(&verdict);
                image.meta.state = state;
                image.meta.reason = reason;
                write(&self.store, &mut image).await?;
                Ok(Step::Done)
            }
            Ok(Err(verdict)) => {
                let mut reason = verdict.reasons();
                reason.extend(going_on(&image));
                settle(&self.store, &mut image, State::Error, reason).await?;
                Ok(Step::Done)
            }
            Err(error) => self.failed(image, &error, wait).await,
        }
    }

    /// Holds what was built against the policies, and says what they say.
    async fn judge(&self, mut image: Resource<Image>, wait: Duration) -> Result<Step> {
        let subject = Subject::image(&image.status);
        match self.contents.judge(&image.meta.org, &subject).await {
            Ok(verdict) => {
                let (state, reason) = told(&verdict);
                settle(&self.store, &mut image, state, reason).await?;
                Ok(Step::Done)
            }
            Err(error) => self.failed(image, &error, wait).await,
        }
    }

    /// Builds it if the policies admit its base, and holds what came out against them. What they
    /// do not admit does not take the place of what was built before.
    async fn built(
        &self,
        image: &Resource<Image>,
        base: &Resource<BaseImage>,
    ) -> dispatch_images::Result<std::result::Result<(ImageStatus, Verdict), Verdict>> {
        let org = &image.meta.org;
        let before = self.contents.judge(org, &Subject::base(base)).await?;
        if !before.admits() {
            return Ok(Err(before));
        }
        let (status, built) = self.contents.image(image, base).await?;
        let mut verdict = self.contents.judge(org, &Subject::image(&status)).await?;
        if verdict.admits()
            && let Some(built) = built
        {
            self.contents.publish_image(image, &built).await?;
            // A policy may have come while it was pushed.
            verdict = self.contents.judge(org, &Subject::image(&status)).await?;
        }
        Ok(if verdict.admits() { Ok((status, verdict)) } else { Err(verdict) })
    }

    /// Says that it is being built. False when somebody changed it meanwhile: their change brings
    /// it here again.
    async fn begin(&self, image: &mut Resource<Image>, base: &Resource<BaseImage>) -> Result<bool> {
        let state = match image.meta.state {
            State::Initialized | State::Creating => State::Creating,
            _ => State::Updating,
        };
        let stale =
            image.status.base_digest.is_some() && image.status.base_digest != base.status.digest;
        let reason = match stale {
            true => vec![format!("base image {} has changed; it is built again", base.meta.name)],
            false => Vec::new(),
        };
        settle(&self.store, image, state, reason).await
    }

    async fn failed(
        &self,
        mut image: Resource<Image>,
        error: &dispatch_images::Error,
        wait: Duration,
    ) -> Result<Step> {
        let passing = error.is_passing();
        let mut reason = vec![match passing {
            true => format!("{error}; next try in {} s", wait.as_secs()),
            false => error.to_string(),
        }];
        reason.extend(going_on(&image));
        settle(&self.store, &mut image, State::Error, reason).await?;
        Ok(match passing {
            true => Step::Again { revision: image.meta.revision },
            false => Step::Done,
        })
    }
}

/// What an image's resource says of a verdict on what it has.
fn told(verdict: &Verdict) -> (State, Vec<String>) {
    match verdict.admits() {
        true => (State::Ready, verdict.reasons()),
        false => (State::Error, verdict.reasons()),
    }
}

fn going_on(image: &Resource<Image>) -> Option<String> {
    let digest = image.status.digest.as_deref()?;
    Some(format!("functions go on with what was built before: {digest}"))
}
