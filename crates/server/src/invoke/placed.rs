//! What the engines of this server hold for functions it has called. Where several servers share a
//! database, another one may replace or delete a function: its deployment goes here, too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use dispatch_driver::Engine;
use dispatch_model::function::Function;
use dispatch_model::{Name, OrgName, Resource};
use uuid::Uuid;

/// How long a deployment nobody is sent to any more is kept, for calls that found it just before.
pub const GRACE: Duration = Duration::from_secs(2);
/// Pause after a removal that failed, and the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What this server knows of deployments. Nothing on the way of a call reads it.
#[derive(Default)]
pub struct Placed {
    /// By function: what its versions were last said to be deployed as.
    held: DashMap<(OrgName, Name), Held>,
    /// By deployment: the engines this server has told of it.
    ensured: DashMap<Uuid, Vec<Weak<dyn Engine>>>,
}

struct Held {
    function: Uuid,
    /// Revision of the function that said so: an older reading changes nothing.
    revision: i64,
    places: Vec<(Arc<dyn Engine>, Uuid)>,
}

impl Placed {
    /// The function is served by these deployments; those before them go from this server. What
    /// outlives servers is removed by whoever changed the function.
    pub fn put(&self, function: &Resource<Function>, places: Vec<(Arc<dyn Engine>, Uuid)>) {
        let meta = &function.meta;
        let key = (meta.org.clone(), meta.name.clone());
        let mut held = self.held.entry(key).or_insert_with(|| Held {
            function: meta.id,
            revision: 0,
            places: Vec::new(),
        });
        if held.function == meta.id && held.revision > meta.revision {
            return;
        }
        let kept = |id: Uuid| places.iter().any(|(_, other)| *other == id);
        let stays = |engine: &Arc<dyn Engine>, id: Uuid| {
            places.iter().any(|(other, other_id)| *other_id == id && Arc::ptr_eq(other, engine))
        };
        for (engine, id) in held.places.iter().filter(|(engine, id)| !stays(engine, *id)) {
            self.lost(engine, *id);
        }
        for (engine, id) in held.places.iter().filter(|(_, id)| !kept(*id)) {
            self.leave(engine, *id);
        }
        *held = Held { function: meta.id, revision: meta.revision, places };
    }

    /// The engine of a name is another one now, which holds nothing yet.
    pub fn forget_engine(&self, name: &str) {
        self.held.iter_mut().for_each(|mut held| held.places.retain(|(e, _)| e.name() != name));
    }

    /// An engine was told of a deployment.
    pub fn ensured(&self, engine: &Arc<dyn Engine>, deployment: Uuid) {
        let mut told = self.ensured.entry(deployment).or_default();
        told.retain(|other| other.strong_count() > 0 && !is(other, engine));
        told.push(Arc::downgrade(engine));
    }

    /// An engine has lost a deployment it was told of.
    pub fn lost(&self, engine: &Arc<dyn Engine>, deployment: Uuid) {
        if let Some(mut told) = self.ensured.get_mut(&deployment) {
            told.retain(|other| !is(other, engine));
        }
    }

    /// Whether the engine was told of the deployment, as far as this server knows.
    pub fn is_ensured(&self, engine: &Arc<dyn Engine>, deployment: Uuid) -> bool {
        let told = self.ensured.get(&deployment);
        told.is_some_and(|told| told.iter().any(|other| is(other, engine)))
    }

    /// The function is deleted.
    pub fn remove(&self, org: &OrgName, name: &Name, function: Uuid) {
        let key = (org.clone(), name.clone());
        if let Some((_, gone)) = self.held.remove_if(&key, |_, held| held.function == function) {
            gone.places.iter().for_each(|(engine, id)| self.leave(engine, *id));
        }
    }

    fn leave(&self, engine: &Arc<dyn Engine>, deployment: Uuid) {
        self.ensured.remove(&deployment);
        if !engine.capabilities().lasting {
            retire(engine, deployment, GRACE);
        }
    }
}

fn is(told: &Weak<dyn Engine>, engine: &Arc<dyn Engine>) -> bool {
    std::ptr::addr_eq(told.as_ptr(), Arc::as_ptr(engine))
}

/// Removes a deployment after a while, and tries until it is gone or the engine is.
pub fn retire(engine: &Arc<dyn Engine>, deployment: Uuid, after: Duration) {
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move {
        let (mut wait, mut pause) = (after, PAUSE);
        loop {
            tokio::time::sleep(wait).await;
            let Some(engine) = engine.upgrade() else { return };
            let Err(error) = engine.remove(deployment).await else { return };
            tracing::warn!(%deployment, %error, "a deployment could not be removed");
            wait = pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    });
}
