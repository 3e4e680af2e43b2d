//! What a change of an engine means for functions.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use dispatch_model::application::{APPLICATION_TAG, Application};
use dispatch_model::engine::{Engine, EngineSpec};
use dispatch_model::function::Function;
use dispatch_model::organization::Organization;
use dispatch_model::{ListQuery, Name, OrgName, Resource, State};
use dispatch_store::{Change, Store};

use super::super::queue::Key;
use crate::app::Result;

/// What was last seen of each engine: its health changes often, and moves no function.
#[derive(Default)]
pub struct EngineNews(Mutex<HashMap<Name, Seen>>);

/// With the languages, which some engines only say when they are looked at.
type Seen = (EngineSpec, State, Vec<String>);

impl EngineNews {
    /// Functions that may have to move: those on the engine, those of which something is said about
    /// engines, and those that found none.
    pub async fn concerned(&self, store: &Store, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let engine = store.by_name::<Engine>(&change.org, &change.name).await?;
        if !self.is_news(&change.name, engine) {
            return Ok(Vec::new());
        }
        let defaults = Defaults::of(store).await?;
        let on =
            |function: &Resource<Function>| is_on(function, |name| name == change.name.as_str());
        let moves = |function: &Resource<Function>| {
            on(function) || function.meta.state == State::Error || defaults.may_move(function)
        };
        functions(store, moves).await
    }

    /// Functions for which a server before this one may have left something to be done: to take
    /// a deployment away or to make one that is lacking, to leave an engine, to follow news that
    /// came just before its end.
    pub async fn left(&self, store: &Store) -> Result<Vec<Key>> {
        let engines = store.list_all::<Engine>(&ListQuery::default()).await?.items;
        let stays = |engine: &&Resource<Engine>| {
            engine.meta.state != State::Deleting && !engine.spec.draining
        };
        let staying: HashSet<&str> =
            engines.iter().filter(stays).map(|engine| engine.meta.name.as_str()).collect();
        let defaults = Defaults::of(store).await?;
        let left = |function: &Resource<Function>| {
            !function.status.retiring.is_empty()
                || is_on(function, |name| !staying.contains(name))
                || (function.meta.state == State::Ready
                    && (!function.meta.reason.is_empty() || defaults.may_move(function)))
        };
        functions(store, left).await
    }

    fn is_news(&self, name: &Name, engine: Option<Resource<Engine>>) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match engine {
            Some(engine) => {
                let now = (engine.spec, engine.meta.state, engine.status.languages);
                seen.insert(name.clone(), now.clone()) != Some(now)
            }
            // Also when it was never seen: it may have been there before this server was.
            None => {
                seen.remove(name);
                true
            }
        }
    }
}

/// Who says something about engines for functions that do not.
struct Defaults {
    organizations: HashSet<String>,
    applications: HashSet<(OrgName, String)>,
}

impl Defaults {
    async fn of(store: &Store) -> Result<Self> {
        let all = ListQuery::default();
        let organizations = store.list_all::<Organization>(&all).await?.items;
        let applications = store.list_all::<Application>(&all).await?.items;
        let says = organizations.into_iter().filter(|found| found.spec.placement.is_some());
        let organizations = says.map(|found| found.meta.name.to_string()).collect();
        let says = applications.into_iter().filter(|found| found.spec.placement.is_some());
        let applications = says.map(|f| (f.meta.org, f.meta.name.to_string())).collect();
        Ok(Self { organizations, applications })
    }

    /// Whether any engine may be one for the function.
    fn may_move(&self, function: &Resource<Function>) -> bool {
        let meta = &function.meta;
        function.spec.placement.is_some()
            || function.status.deployments.iter().any(|deployed| deployed.engines.len() != 1)
            || self.organizations.contains(meta.org.as_str())
            || meta.tags.get(APPLICATION_TAG).is_some_and(|application| {
                self.applications.contains(&(meta.org.clone(), application.clone()))
            })
    }
}

fn is_on(function: &Resource<Function>, engine: impl Fn(&str) -> bool) -> bool {
    let mut deployments = function.status.deployments.iter();
    deployments.any(|deployed| deployed.engines.iter().any(|name| engine(name)))
}

async fn functions(store: &Store, which: impl Fn(&Resource<Function>) -> bool) -> Result<Vec<Key>> {
    let all = store.list_all::<Function>(&ListQuery::default()).await?.items;
    Ok(all.into_iter().filter(which).map(|f| (f.meta.org, f.meta.name)).collect())
}
