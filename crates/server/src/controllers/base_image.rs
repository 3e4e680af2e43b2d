//! Base images: is there an engine that runs their language?

use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::base_image::{BaseImage, BaseImageSpec, HOST_SCHEME};
use dispatch_model::{Resource, State};
use dispatch_store::Store;

use super::reconcile::{Controller, Step, settle};
use crate::app::Result;
use crate::invoke::Engines;

pub struct BaseImages {
    pub store: Store,
    pub engines: Engines,
}

#[async_trait]
impl Controller for BaseImages {
    type Kind = BaseImage;

    async fn reconcile(&self, mut object: Resource<BaseImage>, _: Duration) -> Result<Step> {
        if object.meta.state == State::Deleting {
            self.store.remove(&object).await?;
            return Ok(Step::Done);
        }
        let (state, reason) = match judge(&object.spec, &self.engines) {
            Ok(note) => (State::Ready, note.into_iter().collect()),
            Err(reason) => (State::Error, vec![reason]),
        };
        settle(&self.store, &mut object, state, reason).await?;
        Ok(Step::Done)
    }
}

/// What is to be said of a base image that can be used; or why it cannot.
fn judge(spec: &BaseImageSpec, engines: &Engines) -> std::result::Result<Option<String>, String> {
    let language = &spec.language;
    if let Err(error) = engines.for_language(language, None) {
        return Err(format!("{}: {error}", error.code));
    }
    match spec.docker_url.strip_prefix(HOST_SCHEME) {
        Some(named) if !named.eq_ignore_ascii_case(language) => Err(format!(
            "the URL names {named:?}, the language is {language:?}: they must be the same"
        )),
        Some(_) => Ok(None),
        None => Ok(Some(format!(
            "nothing is pulled from {}: functions run on this machine's own {language}",
            spec.docker_url
        ))),
    }
}
