//! Deployments of a function's versions: made where they are wanted, removed where they are not.

use std::sync::Arc;

use dispatch_driver::{Deployment, Engine};
use dispatch_model::function::{Deployed, Function, FunctionStatus, Retiring};
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::placement::PlacementSpec;
use dispatch_model::resource::now_ms;
use dispatch_model::{Resource, code};
use futures::future::join_all;
use uuid::Uuid;

use super::Functions;
use super::obstacle::{Lacking, Obstacle, Trouble};
use super::traffic::Wanted;
use crate::invoke::deployment::deployment;
use crate::invoke::{GRACE, Placing, retire};

/// A deployment on one engine.
pub type At = (String, Uuid);

impl Functions {
    /// The engines a version belongs on.
    pub(super) fn targets(
        &self,
        function: &Resource<Function>,
        version: &FunctionVersionSpec,
        placement: &PlacementSpec,
    ) -> Result<Vec<String>, Obstacle> {
        let (engines, org) = (&self.0.engines, &function.meta.org);
        let there = function.status.deployed(version.number);
        let there = there.map_or(&[][..], |deployed| &deployed.engines);
        let placing = Placing { engines, org, version, placement };
        let error = |why| Obstacle::Final(format!("{}: {why}", code::ENGINE001));
        placing.targets(there).map_err(error)
    }

    /// Whether one of these engines pulls images.
    pub(super) fn pulls(&self, engines: &[String]) -> bool {
        let mut engines = engines.iter().filter_map(|name| self.0.engines.get(name));
        engines.any(|engine| engine.capabilities().pulls_images)
    }

    /// Builds a deployment on engines and makes it callable there. Some may fail for reasons of
    /// their own, as long as one does not.
    pub(super) async fn build(
        &self,
        engines: &[String],
        new: &Deployment,
    ) -> Result<Vec<Lacking>, Obstacle> {
        let made = engines.iter().map(async |name| {
            let Some(engine) = self.0.engines.get(name) else {
                return Err(Obstacle::Again(format!("engine {name} is gone")));
            };
            make(&*engine, new).await
        });
        let made = join_all(made).await;
        let (mut lacking, mut there) = (Vec::new(), 0);
        for (engine, made) in engines.iter().zip(made) {
            match made {
                Ok(()) => there += 1,
                Err(obstacle) => {
                    let (version, engine) = (new.version, engine.clone());
                    lacking.push(Lacking { version, engine, obstacle });
                }
            }
        }
        // What is the author's fault on one engine is nobody's good luck on another.
        let fatal = |lack: &Lacking| matches!(lack.obstacle, Obstacle::Final(_));
        match lacking.iter().position(fatal) {
            Some(at) => Err(lacking.swap_remove(at).obstacle),
            None if there > 0 || lacking.is_empty() => Ok(lacking),
            None => Err(lacking.swap_remove(0).obstacle),
        }
    }

    /// Makes what is wanted of older versions and was not there `before`; what cannot be made is
    /// wanted no more, for now.
    pub(super) async fn complete(
        &self,
        function: &Resource<Function>,
        before: &[Deployed],
        wanted: &mut Wanted,
        trouble: &mut Trouble,
    ) {
        for version in &wanted.versions {
            if version.number > function.status.latest {
                continue;
            }
            let there = made(before, version.faas_id);
            let missing = |name: &&String| !there.contains(name);
            let missing: Vec<String> =
                wanted.engines(version.number).iter().filter(missing).cloned().collect();
            if missing.is_empty() {
                continue;
            }
            let new = deployment(&function.meta.org, version);
            let admitted = self.still_admitted(version, &new).await;
            for name in missing {
                let made = match (&admitted, self.0.engines.get(&name)) {
                    (Err(obstacle), _) => Err(obstacle.clone()),
                    (Ok(()), Some(engine)) => make(&*engine, &new).await,
                    (Ok(()), None) => Err(Obstacle::Again(format!("engine {name} is gone"))),
                };
                if let Err(obstacle) = made {
                    let version = version.number;
                    trouble.lacking.push(Lacking { version, engine: name, obstacle });
                }
            }
        }
        for Lacking { version, engine, .. } in &trouble.lacking {
            let all = wanted.deployments.iter_mut();
            for deployed in all.filter(|deployed| deployed.version == *version) {
                deployed.engines.retain(|name| name != engine);
            }
        }
        // What cannot move stays where it is.
        for deployed in wanted.deployments.iter_mut().filter(|d| d.engines.is_empty()) {
            let there = made(before, deployed.faas_id).into_iter();
            let there = there.filter(|name| self.0.engines.get(name).is_some());
            deployed.engines = there.cloned().collect();
        }
    }

    /// What was there and is wanted no more. What would outlive this server is written down.
    pub(super) fn leaving(
        &self,
        function: &mut Resource<Function>,
        before: &[Deployed],
    ) -> Vec<(Arc<dyn Engine>, Uuid)> {
        let status = &mut function.status;
        let kept: Vec<At> = ats(&status.deployments).collect();
        let mut leaving = Vec::new();
        for (name, id) in ats(before).filter(|at| !kept.contains(at)) {
            let Some(engine) = self.0.engines.get(&name) else { continue };
            if status.retiring.iter().any(|r| (&r.engine, r.faas_id) == (&name, id)) {
                // It was tried again in vain meanwhile.
                continue;
            }
            if engine.capabilities().lasting {
                status.retiring.push(Retiring { engine: name, faas_id: id, since_ms: now_ms() });
            } else {
                leaving.push((engine.clone(), id));
            }
        }
        // Something may be wanted again before it was gone.
        status.retiring.retain(|r| !kept.contains(&(r.engine.clone(), r.faas_id)));
        leaving
    }

    /// Removes from engines what calls have had time to leave. False when some could not be.
    pub(super) async fn remove_retiring(&self, status: &mut FunctionStatus) -> bool {
        let due_ms = now_ms() - i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
        let mut gone = Vec::new();
        let mut all = true;
        for retiring in status.retiring.iter().filter(|retiring| retiring.since_ms <= due_ms) {
            let removed = match self.0.engines.get(&retiring.engine) {
                Some(engine) => engine.remove(retiring.faas_id).await,
                // With an engine everything on it is out of our hands.
                None => Ok(()),
            };
            match removed {
                Ok(()) => gone.push(retiring.clone()),
                Err(error) => {
                    let (engine, deployment) = (&retiring.engine, retiring.faas_id);
                    tracing::warn!(engine, %deployment, %error, "a deployment cannot be removed");
                    all = false;
                }
            }
        }
        status.retiring.retain(|retiring| !gone.contains(retiring));
        all
    }

    pub(super) fn retire(&self, leaving: Vec<(Arc<dyn Engine>, Uuid)>) {
        for (engine, id) in leaving {
            retire(&engine, id, GRACE);
        }
    }
}

/// Builds a deployment and makes it callable.
async fn make(engine: &dyn Engine, deployment: &Deployment) -> Result<(), Obstacle> {
    engine.build(deployment).await?;
    Ok(engine.ensure(deployment).await?)
}

/// Adds what is going to be made to what is written down. False when nothing is.
pub fn note(noted: &mut Vec<Deployed>, wanted: &[Deployed]) -> bool {
    let mut any = false;
    for deployed in wanted {
        let same = |other: &Deployed| other.faas_id == deployed.faas_id;
        let at = noted.iter().position(same).unwrap_or_else(|| {
            noted.push(Deployed { engines: Vec::new(), ..deployed.clone() });
            noted.len() - 1
        });
        let found = &mut noted[at];
        for engine in &deployed.engines {
            if !found.engines.contains(engine) {
                found.engines.push(engine.clone());
                found.making.push(engine.clone());
            }
            // Somebody may have begun, and died.
            any |= found.making.contains(engine);
        }
    }
    any
}

/// Everything that engines may hold of a function.
pub fn all(status: &FunctionStatus) -> Vec<At> {
    let retiring = status.retiring.iter().map(|r| (r.engine.clone(), r.faas_id));
    ats(&status.deployments).chain(retiring).collect()
}

/// The engines that surely have a deployment.
fn made(deployments: &[Deployed], id: Uuid) -> Vec<&String> {
    let of = deployments.iter().filter(|deployed| deployed.faas_id == id);
    of.flat_map(|d| d.engines.iter().filter(|name| !d.making.contains(*name))).collect()
}

fn ats(deployments: &[Deployed]) -> impl Iterator<Item = At> {
    deployments.iter().flat_map(|d| d.engines.iter().map(|engine| (engine.clone(), d.faas_id)))
}
