//! Images: a base image that is READY, and what is built on it.
//!
//! What was READY stays so until something better is: functions on it go on running.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::base_image::BaseImage;
use dispatch_model::image::Image;
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Store};

use super::reconcile::{Controller, Step, settle, write};
use crate::app::Result;
use crate::content::Contents;

pub struct Images {
    pub store: Store,
    pub contents: Arc<Contents>,
}

#[async_trait]
impl Controller for Images {
    type Kind = Image;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::BaseImage];

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let spec = vec![("base_image_name".to_owned(), change.name.to_string())];
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
        if image.status.built_from.as_deref() == Some(inputs.as_str()) {
            settle(&self.store, &mut image, State::Ready, Vec::new()).await?;
            return Ok(Step::Done);
        }
        if !self.begin(&mut image, base).await? {
            return Ok(Step::Done);
        }
        match self.contents.image(&image, base).await {
            Ok(status) => {
                image.status = status;
                image.meta.state = State::Ready;
                image.meta.reason = Vec::new();
                write(&self.store, &mut image).await?;
                Ok(Step::Done)
            }
            Err(error) => self.failed(image, &error, wait).await,
        }
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
        if let Some(digest) = &image.status.digest {
            reason.push(format!("functions go on with what was built before: {digest}"));
        }
        settle(&self.store, &mut image, State::Error, reason).await?;
        Ok(match passing {
            true => Step::Again { revision: image.meta.revision },
            false => Step::Done,
        })
    }
}
