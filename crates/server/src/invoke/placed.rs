//! What the engines of this server hold for functions it has called. Where several servers share a
//! database, another one may replace or delete a function: its deployment goes here, too.

use std::sync::Arc;
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

/// By function: what this server was last told its versions are deployed as.
#[derive(Default)]
pub struct Placed(DashMap<(OrgName, Name), Held>);

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
        let mut held = self.0.entry(key).or_insert_with(|| Held {
            function: meta.id,
            revision: 0,
            places: Vec::new(),
        });
        if held.function == meta.id && held.revision > meta.revision {
            return;
        }
        let kept = |id: Uuid| places.iter().any(|(_, other)| *other == id);
        for (engine, id) in held.places.iter().filter(|(_, id)| !kept(*id)) {
            leave(engine, *id);
        }
        *held = Held { function: meta.id, revision: meta.revision, places };
    }

    /// The engine of a name is another one now, which holds nothing yet.
    pub fn forget_engine(&self, name: &str) {
        self.0.iter_mut().for_each(|mut held| held.places.retain(|(e, _)| e.name() != name));
    }

    /// The function is deleted.
    pub fn remove(&self, org: &OrgName, name: &Name, function: Uuid) {
        let key = (org.clone(), name.clone());
        if let Some((_, gone)) = self.0.remove_if(&key, |_, held| held.function == function) {
            gone.places.iter().for_each(|(engine, id)| leave(engine, *id));
        }
    }
}

fn leave(engine: &Arc<dyn Engine>, deployment: Uuid) {
    if !engine.capabilities().lasting {
        retire(engine, deployment, GRACE);
    }
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
