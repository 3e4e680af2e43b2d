//! Applications are names: there is nothing to make.

use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::application::Application;
use dispatch_model::{Resource, State};
use dispatch_store::Store;

use super::reconcile::{Controller, Step, settle};
use crate::app::Result;

pub struct Applications {
    pub store: Store,
}

#[async_trait]
impl Controller for Applications {
    type Kind = Application;

    async fn reconcile(&self, mut object: Resource<Application>, _: Duration) -> Result<Step> {
        match object.meta.state {
            State::Deleting => {
                self.store.remove(&object).await?;
            }
            _ => {
                settle(&self.store, &mut object, State::Ready, Vec::new()).await?;
            }
        }
        Ok(Step::Done)
    }
}
