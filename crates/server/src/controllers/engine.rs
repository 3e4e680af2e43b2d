//! Engines: made from what is stored, on every server, and put in the place of the one before.
//!
//! What cannot be made is in ERROR, and the one before goes on. An engine that is being deleted
//! stays until no function is on it any more; functions leave it like one that is drained.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::Retry;
use dispatch_model::engine::{Engine, EngineSpec};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State, code};
use dispatch_placement::FleetFull;
use dispatch_store::{Change, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::queue::Key;
use super::reconcile::{Controller, Step, again, settle};
use crate::app::engine::held;
use crate::app::{Error, Result};
use crate::invoke::engine_maker::{EngineMaker, operators};
use crate::invoke::{Engines, Invoker, Member};

/// How often it is looked whether an engine that was replaced has ended its last call.
const LOOK: Duration = Duration::from_millis(200);

pub struct EngineController {
    pub store: Store,
    pub maker: Arc<EngineMaker>,
    pub engines: Engines,
    pub invoker: Arc<Invoker>,
    /// Told when there is an engine nobody has looked at yet.
    pub unseen: Arc<tokio::sync::Notify>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    /// Engines that go when the last function has left them.
    pub leaving: Mutex<HashSet<Name>>,
}

#[async_trait]
impl Controller for EngineController {
    type Kind = Engine;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::Secret, ResourceKind::Function];

    /// Every server holds its own connection.
    const FOLLOWS_SETTLED: bool = true;

    /// All are made before the first call, which may be for any of them.
    async fn load(&self) -> Result<Vec<Key>> {
        let all = self.store.list_all::<Engine>(&ListQuery::default()).await?.items;
        let mut keys = Vec::new();
        for engine in all {
            keys.push((engine.meta.org.clone(), engine.meta.name.clone()));
            let name = engine.meta.name.clone();
            // It is tried again like any other, and then says so.
            if let Err(error) = self.make(&engine).await {
                tracing::warn!(engine = %name, %error, "an engine cannot be made");
            }
        }
        Ok(keys)
    }

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let org = operators();
        if change.kind == ResourceKind::Function {
            let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(leaving.iter().map(|name| (org.clone(), name.clone())).collect());
        }
        if change.org != org {
            return Ok(Vec::new());
        }
        let spec = vec![("secrets".to_owned(), change.name.to_string())];
        let query = ListQuery { spec, ..ListQuery::default() };
        let engines = self.store.list::<Engine>(&org, &query).await?.items;
        Ok(engines.into_iter().map(|engine| (engine.meta.org, engine.meta.name)).collect())
    }

    async fn reconcile(&self, mut engine: Resource<Engine>, wait: Duration) -> Result<Step> {
        if engine.meta.state == State::Deleting {
            return self.remove(engine).await;
        }
        match self.make(&engine).await {
            Ok(Ok(())) => {
                settle(&self.store, &mut engine, State::Ready, Vec::new()).await?;
                Ok(Step::Done)
            }
            Ok(Err(error)) if error.retry != Retry::Never => {
                let text = format!("{}: {error}", error.code);
                again(&self.store, &mut engine, State::Error, text, wait).await
            }
            Ok(Err(error)) => {
                let reason = vec![format!("{}: {error}", error.code)];
                settle(&self.store, &mut engine, State::Error, reason).await?;
                Ok(Step::Done)
            }
            Err(Error::Invalid(violation)) => {
                settle(&self.store, &mut engine, State::Error, vec![violation.to_string()]).await?;
                Ok(Step::Done)
            }
            Err(error) => Err(error),
        }
    }

    fn gone(&self, _org: &OrgName, name: &Name) -> Vec<Key> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(member) = self.engines.remove(name.as_str()) {
            self.retire(member);
        }
        Vec::new()
    }
}

impl EngineController {
    /// Puts the engine that is stored into use, if it is not in use already.
    async fn make(&self, engine: &Resource<Engine>) -> Result<dispatch_driver::Result<()>> {
        let (name, spec) = (engine.meta.name.as_str(), &spec(engine));
        let before = self.engines.member(name);
        if let Some(own) = before.as_ref().filter(|member| member.is_embedded()) {
            return Ok(self.put(own.with_spec(spec.clone())).map(drop));
        }
        // Whether it can be made or not: what was made before is drained, limited and named anew.
        if let Some(before) = &before
            && let Err(error) = self.put(before.with_spec(spec.clone()))
        {
            return Ok(Err(error));
        }
        let checked = self.maker.check(name, spec).await?;
        if before.is_some_and(|member| member.made_of == checked.made_of) {
            return Ok(Ok(()));
        }
        let made_of = checked.made_of.clone();
        let made = match self.maker.make(checked).await {
            Ok(made) => made,
            Err(error) => return Ok(Err(error)),
        };
        let member = Member::new(name, made, spec.clone(), made_of);
        match self.put(member) {
            Ok(Some(before)) => self.retire(before),
            // What was deployed on it before this server started is there again.
            Ok(None) => self.invoker.forget_engine(name),
            Err(error) => return Ok(Err(error)),
        }
        self.unseen.notify_one();
        Ok(Ok(()))
    }

    fn put(&self, member: Member) -> dispatch_driver::Result<Option<Arc<Member>>> {
        let full =
            |full: FleetFull| dispatch_driver::Error::caller(code::ENGINE008, full.to_string());
        self.engines.put(member).map_err(full)
    }

    /// Takes the row away when no function is on the engine any more.
    async fn remove(&self, mut engine: Resource<Engine>) -> Result<Step> {
        // First the note, then the look: a function that leaves in between is not missed.
        let name = engine.meta.name.clone();
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        // Functions leave it as one that is drained.
        if let Some(member) = self.engines.member(name.as_str()) {
            let _ = self.put(member.with_spec(spec(&engine)));
        }
        let held = held(&self.store, &name).await?;
        if held.is_empty() {
            self.store.remove(&engine).await?;
            return Ok(Step::Done);
        }
        let reason = format!("it goes when no function is on it any more: {}", held.join(", "));
        settle(&self.store, &mut engine, State::Deleting, vec![reason]).await?;
        Ok(Step::Done)
    }

    /// Lets the calls of an engine that is not used any more end, and stops it.
    fn retire(&self, member: Arc<Member>) {
        self.invoker.forget_engine(member.name());
        let (engine, stop) = (member.engine.clone(), self.stop.clone());
        drop(member);
        self.tasks.spawn(async move {
            while Arc::strong_count(&engine) > 1 {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            engine.shutdown().await;
        });
    }
}

/// What is asked of an engine; one that is to go takes nothing new.
fn spec(engine: &Resource<Engine>) -> EngineSpec {
    let mut spec = engine.spec.clone();
    spec.draining |= engine.meta.state == State::Deleting;
    spec
}
