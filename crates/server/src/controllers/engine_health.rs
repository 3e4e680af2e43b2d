//! How engines are: each is asked now and then. What changes is written down.
//!
//! Every server has its own view, which it answers with and places calls by. The one in the store
//! is that of the server whose view changed last, so servers that disagree do not write in turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::Health;
use dispatch_model::engine::{Engine, EngineStatus};
use dispatch_model::resource::now_ms;
use dispatch_model::{Name, State};
use dispatch_store::Store;
use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::Result;
use crate::config::EngineHealth;
use crate::invoke::engine_maker::operators;
use crate::invoke::{Engines, Member};

/// Shortest time between two rounds.
const SHORTEST: Duration = Duration::from_millis(100);

pub struct Look {
    pub store: Store,
    pub engines: Engines,
    pub settings: EngineHealth,
    /// Told when there is an engine nobody has looked at yet.
    pub unseen: Arc<Notify>,
    pub stop: CancellationToken,
}

impl Look {
    pub async fn run(self) {
        let interval = Duration::from_millis(self.settings.health_interval_ms).max(SHORTEST);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What this server last wrote down, or found written down already.
        let mut written = HashMap::new();
        loop {
            let all = tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => true,
                () = self.unseen.notified() => false,
            };
            let mut members = self.engines.members();
            members.retain(|member| all || member.seen().is_none());
            join_all(members.iter().map(|member| self.look(member))).await;
            for member in &members {
                self.note(member, &mut written).await;
            }
        }
    }

    async fn look(&self, member: &Member) {
        let patience = Duration::from_millis(self.settings.health_timeout_ms);
        let health = match tokio::time::timeout(patience, member.engine.health()).await {
            Ok(health) => health,
            Err(_) => {
                let message = format!("it does not answer within {} ms", patience.as_millis());
                Health { ok: false, message }
            }
        };
        if member.seen().is_none_or(|before| before.health.ok != health.ok) {
            let (engine, message) = (member.name(), &health.message);
            match health.ok {
                true => tracing::info!(%engine, %message, "an engine is healthy"),
                false => tracing::warn!(%engine, %message, "an engine is not healthy"),
            }
        }
        member.saw(health);
    }

    async fn note(&self, member: &Member, written: &mut HashMap<String, EngineStatus>) {
        let Some(status) = status(member) else { return };
        if written.get(member.name()).is_some_and(|before| same(before, &status)) {
            return;
        }
        match self.write(member.name(), &status).await {
            Ok(true) => drop(written.insert(member.name().to_owned(), status)),
            // Whoever was faster changed something else; the next round writes it.
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the health of an engine cannot be written down"),
        }
    }

    async fn write(&self, name: &str, status: &EngineStatus) -> Result<bool> {
        let name = Name::trusted(name);
        let Some(mut row) = self.store.by_name::<Engine>(&operators(), &name).await? else {
            return Ok(false);
        };
        if same(&row.status, status) || row.meta.state == State::Deleting {
            return Ok(true);
        }
        row.status = status.clone();
        super::reconcile::write(&self.store, &mut row).await
    }
}

fn status(member: &Member) -> Option<EngineStatus> {
    let (seen, can) = (member.seen()?, member.engine.capabilities());
    Some(EngineStatus {
        healthy: Some(seen.health.ok),
        message: seen.health.message.clone(),
        checked_ms: now_ms(),
        languages: can.languages,
        pulls_images: can.pulls_images,
        missing: can.missing,
    })
}

/// Whether nothing is worth a write: messages may hold numbers that always change.
fn same(a: &EngineStatus, b: &EngineStatus) -> bool {
    let of = |s: &EngineStatus| (s.healthy, s.languages.clone(), s.pulls_images, s.missing.clone());
    of(a) == of(b)
}
