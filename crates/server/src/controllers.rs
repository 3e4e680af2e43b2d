//! Controllers make true what is stored: one for each kind, each on a signal and a timer.
//!
//! They take no input: they read what is wanted from the store, compare it with what is, and do
//! what is missing. Every step may be repeated, so a server may die at any of them. The last
//! error and the next try stand in the object's `reason`.

use std::sync::Arc;

use dispatch_store::Store;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::EngineHealth;
use crate::content::Contents;
use crate::gateway::Gateway;
use crate::invoke::{EngineMaker, Engines, Invoker};
use crate::secrets::Secrets;

mod api;
mod application;
mod base_image;
mod engine;
mod engine_health;
mod function;
mod image;
mod organization;
mod queue;
mod reconcile;
mod upkeep;

/// What controllers stand on.
#[derive(Clone)]
pub struct Controllers {
    pub store: Store,
    pub engines: Engines,
    pub engine_maker: Arc<EngineMaker>,
    pub engine_health: EngineHealth,
    pub contents: Arc<Contents>,
    pub invoker: Arc<Invoker>,
    pub secrets: Arc<Secrets>,
    pub gateway: Arc<Gateway>,
    pub stop: CancellationToken,
    /// Everything they have under way.
    pub tasks: TaskTracker,
}

impl Controllers {
    /// Starts all of them, after the gateway knows its routes. They end when `stop` is cancelled.
    pub async fn start(&self) -> crate::app::Result<()> {
        let (store, engines) = (&self.store, &self.engines);
        let contents = &self.contents;
        self.start_engines().await?;
        self.spawn(base_image::BaseImages {
            store: store.clone(),
            engines: engines.clone(),
            contents: contents.clone(),
        })
        .await?;
        self.spawn(image::Images {
            store: store.clone(),
            contents: contents.clone(),
            lost: Mutex::default(),
        })
        .await?;
        self.tasks.spawn(upkeep::run(store.clone(), contents.clone(), self.stop.clone()));
        self.spawn(function::Functions::new(self.clone())).await?;
        let (secrets, gateway) = (self.secrets.clone(), self.gateway.clone());
        let apis = api::Apis { store: store.clone(), secrets, gateway };
        self.spawn(apis).await?;
        self.spawn(application::Applications { store: store.clone() }).await?;
        let (invoker, going) = (self.invoker.clone(), std::sync::Mutex::default());
        self.spawn(organization::Organizations { store: store.clone(), invoker, going }).await
    }

    /// Before the others, which need engines.
    async fn start_engines(&self) -> crate::app::Result<()> {
        let unseen = Arc::new(Notify::new());
        self.spawn(engine::EngineController {
            store: self.store.clone(),
            maker: self.engine_maker.clone(),
            engines: self.engines.clone(),
            invoker: self.invoker.clone(),
            unseen: unseen.clone(),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
            leaving: std::sync::Mutex::default(),
        })
        .await?;
        let look = engine_health::Look {
            store: self.store.clone(),
            engines: self.engines.clone(),
            settings: self.engine_health.clone(),
            unseen,
            stop: self.stop.clone(),
        };
        self.tasks.spawn(look.run());
        Ok(())
    }

    async fn spawn<C: reconcile::Controller>(&self, controller: C) -> crate::app::Result<()> {
        let (store, stop) = (self.store.clone(), self.stop.clone());
        let runner = reconcile::Runner::new(store, Arc::new(controller), stop).await?;
        self.tasks.spawn(runner.run());
        Ok(())
    }
}
