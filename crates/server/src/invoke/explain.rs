//! How the next call of a function would be decided.

use std::sync::Arc;

use dispatch_model::placement::PlacementSpec;
use dispatch_model::{Name, OrgName};
use dispatch_placement::Explained;

use super::invoker::Invoker;
use crate::app::Result;

/// Where calls of a function go.
pub struct Placement {
    /// What holds for it.
    pub placement: Arc<PlacementSpec>,
    /// Version, its share of the calls in percent, and what each engine is to it.
    pub versions: Vec<(u64, u8, Vec<Explained>)>,
}

impl Invoker {
    /// # Errors
    /// When the function is not there or not READY.
    pub async fn explain(&self, org: &OrgName, function: &Name) -> Result<Placement> {
        let callable = self.callable(org, function).await?;
        let trial = callable.serving.canary;
        let rest = 100 - trial.map_or(0, |trial| trial.percent);
        let stable = (callable.serving.version, rest);
        let trial = trial.map(|trial| (trial.version, trial.percent));
        let mut versions = Vec::new();
        for (number, percent) in std::iter::once(stable).chain(trial) {
            let version = self.loader.version(&callable, number).await?;
            versions.push((number, percent, version.places.explain()));
        }
        Ok(Placement { placement: callable.placement.clone(), versions })
    }
}
