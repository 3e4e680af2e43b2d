//! Base images: is there an engine that runs their language, and what is at their URL?

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::base_image::{BaseImage, BaseImageSpec, BaseImageStatus, HOST_SCHEME};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Store};

use super::reconcile::{Controller, Step, again, settle, write};
use crate::app::Result;
use crate::content::Contents;
use crate::invoke::Engines;

pub struct BaseImages {
    pub store: Store,
    pub engines: Engines,
    pub contents: Arc<Contents>,
}

#[async_trait]
impl Controller for BaseImages {
    type Kind = BaseImage;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::Secret];

    /// Those that could not be fetched because of their credentials.
    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let spec = vec![("secret".to_owned(), change.name.to_string())];
        let query = ListQuery { spec, state: Some(State::Error), ..ListQuery::default() };
        let bases = self.store.list::<BaseImage>(&change.org, &query).await?.items;
        Ok(bases.into_iter().map(|base| (base.meta.org, base.meta.name)).collect())
    }

    async fn reconcile(&self, mut object: Resource<BaseImage>, wait: Duration) -> Result<Step> {
        if object.meta.state == State::Deleting {
            self.store.remove(&object).await?;
            return Ok(Step::Done);
        }
        if let Err(reason) = judge(&object.spec, &self.engines) {
            settle(&self.store, &mut object, State::Error, vec![reason]).await?;
            return Ok(Step::Done);
        }
        if object.spec.is_host() {
            object.status = BaseImageStatus::default();
            settle(&self.store, &mut object, State::Ready, Vec::new()).await?;
            return Ok(Step::Done);
        }
        if object.meta.state == State::Initialized
            && !settle(&self.store, &mut object, State::Creating, Vec::new()).await?
        {
            return Ok(Step::Done);
        }
        match self.contents.base(&object).await {
            Ok(status) => {
                let same = object.meta.state == State::Ready && object.status == status;
                if !same {
                    object.status = status;
                    object.meta.state = State::Ready;
                    object.meta.reason = Vec::new();
                    write(&self.store, &mut object).await?;
                }
                Ok(Step::Done)
            }
            Err(error) if error.is_passing() => {
                again(&self.store, &mut object, State::Error, error.to_string(), wait).await
            }
            Err(error) => {
                settle(&self.store, &mut object, State::Error, vec![error.to_string()]).await?;
                Ok(Step::Done)
            }
        }
    }
}

/// Why a base image cannot be used, whatever is at its URL.
fn judge(spec: &BaseImageSpec, engines: &Engines) -> std::result::Result<(), String> {
    let language = &spec.language;
    if let Err(error) = engines.for_language(language, None) {
        return Err(format!("{}: {error}", error.code));
    }
    match spec.docker_url.strip_prefix(HOST_SCHEME) {
        Some(named) if !named.eq_ignore_ascii_case(language) => Err(format!(
            "the URL names {named:?}, the language is {language:?}: they must be the same"
        )),
        _ => Ok(()),
    }
}
