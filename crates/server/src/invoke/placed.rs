//! What the engines of this server hold for functions it has called. Where several servers share a
//! database, another one may replace or delete a function: its deployment goes here, too.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dispatch_driver::Engine;
use dispatch_model::{Name, OrgName};
use uuid::Uuid;

/// How long a deployment nobody is sent to any more is kept, for calls that found it just before.
pub const GRACE: Duration = Duration::from_secs(2);
/// Pause after a removal that failed, and the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// By function: the deployment that was ensured last.
#[derive(Default)]
pub struct Placed(DashMap<(OrgName, Name), Place>);

struct Place {
    function: Uuid,
    engine: Arc<dyn Engine>,
    deployment: Uuid,
}

impl Placed {
    /// The function is served by this deployment; the one before it goes.
    pub fn put(
        &self,
        (org, name, function): (&OrgName, &Name, Uuid),
        engine: &Arc<dyn Engine>,
        deployment: Uuid,
    ) {
        let place = Place { function, engine: engine.clone(), deployment };
        let before = self.0.insert((org.clone(), name.clone()), place);
        if let Some(before) = before.filter(|before| before.deployment != deployment) {
            retire(&before.engine, before.deployment, GRACE);
        }
    }

    /// The engine of a name is another one now, which holds nothing yet.
    pub fn forget_engine(&self, name: &str) {
        self.0.retain(|_, place| place.engine.name() != name);
    }

    /// The function is deleted.
    pub fn remove(&self, org: &OrgName, name: &Name, function: Uuid) {
        let key = (org.clone(), name.clone());
        if let Some((_, gone)) = self.0.remove_if(&key, |_, place| place.function == function) {
            retire(&gone.engine, gone.deployment, GRACE);
        }
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
