//! What the engines of this server can do.

use serde::Serialize;

use super::{App, Caller, Result};
use crate::authz::Action;

/// One engine.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    pub name: String,
    /// Languages it runs, as base images spell them.
    pub languages: Vec<String>,
    /// What the machine lacks for it, one sentence each.
    pub missing: Vec<String>,
    pub healthy: bool,
    pub message: String,
}

impl App {
    /// All engines, the preferred first.
    pub async fn engine_list(&self, caller: &Caller) -> Result<Vec<Engine>> {
        self.authorizer.authorize(caller, Action::Get, "baseimage")?;
        let mut engines = Vec::new();
        for engine in self.engines.iter() {
            let (can, health) = (engine.capabilities(), engine.health().await);
            engines.push(Engine {
                name: engine.name().to_owned(),
                languages: can.languages,
                missing: can.missing,
                healthy: health.ok,
                message: health.message,
            });
        }
        Ok(engines)
    }
}
