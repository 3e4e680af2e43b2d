//! What a change of an engine means for functions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dispatch_model::engine::{Engine, EngineSpec};
use dispatch_model::function::Function;
use dispatch_model::{ListQuery, Name, OrgName, Resource, State};
use dispatch_store::{Change, Store};

use crate::app::Result;

/// What was last seen of each engine: its health changes often, and moves no function.
#[derive(Default)]
pub struct EngineNews(Mutex<HashMap<Name, (EngineSpec, State)>>);

impl EngineNews {
    /// Functions that may have to move: those on the engine, those that say something of engines,
    /// and those that found none.
    pub async fn concerned(&self, store: &Store, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let engine = store.by_name::<Engine>(&change.org, &change.name).await?;
        if !self.is_news(&change.name, engine) {
            return Ok(Vec::new());
        }
        let moves = |function: &Resource<Function>| {
            let deployments = &function.status.deployments;
            let on = |name: &String| name == change.name.as_str();
            function.spec.placement.is_some()
                || function.meta.state == State::Error
                || deployments.iter().any(|deployed| deployed.engines.iter().any(on))
                // Its organization may say something.
                || deployments.iter().any(|deployed| deployed.engines.len() != 1)
        };
        let all = store.list_all::<Function>(&ListQuery::default()).await?.items;
        Ok(all.into_iter().filter(moves).map(|f| (f.meta.org, f.meta.name)).collect())
    }

    fn is_news(&self, name: &Name, engine: Option<Resource<Engine>>) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match engine {
            Some(engine) => {
                let now = (engine.spec, engine.meta.state);
                seen.insert(name.clone(), now.clone()) != Some(now)
            }
            None => seen.remove(name).is_some(),
        }
    }
}
