//! Images: a base image that is READY, and what it says of itself.

use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::base_image::BaseImage;
use dispatch_model::image::{Image, ImageStatus};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Store};

use super::reconcile::{Controller, Step, settle, write};
use crate::app::Result;

pub struct Images {
    pub store: Store,
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

    async fn reconcile(&self, mut object: Resource<Image>, _: Duration) -> Result<Step> {
        if object.meta.state == State::Deleting {
            self.store.remove(&object).await?;
            return Ok(Step::Done);
        }
        let name = Name::trusted(&object.spec.base_image_name);
        let base = self.store.by_name::<BaseImage>(&object.meta.org, &name).await?;
        match base.filter(|base| base.meta.state != State::Deleting) {
            Some(base) if base.meta.state == State::Ready => self.ready(object, &base).await?,
            // What was READY stays so: functions on it go on running.
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
    async fn ready(&self, mut image: Resource<Image>, base: &Resource<BaseImage>) -> Result<()> {
        let status = ImageStatus {
            docker_url: Some(base.spec.docker_url.clone()),
            language: Some(base.spec.language.clone()),
            ..ImageStatus::default()
        };
        let reason: Vec<String> = note(&image).into_iter().collect();
        let meta = &image.meta;
        if meta.state == State::Ready && meta.reason == reason && image.status == status {
            return Ok(());
        }
        image.status = status;
        image.meta.state = State::Ready;
        image.meta.reason = reason;
        write(&self.store, &mut image).await?;
        Ok(())
    }
}

/// What this version does not do for an image, said where people look.
fn note(image: &Resource<Image>) -> Option<String> {
    let spec = &image.spec;
    let system = spec.system_packages.iter().map(|package| package.name.as_str());
    let named: Vec<&str> = system.collect();
    if named.is_empty() && spec.runtime_manifest.is_none() {
        return None;
    }
    let packages = match named.is_empty() {
        true => String::new(),
        false => format!(" (system packages: {})", named.join(", ")),
    };
    Some(format!(
        "packages are not installed by this version{packages}: functions find what the machine's \
         own interpreter finds"
    ))
}
