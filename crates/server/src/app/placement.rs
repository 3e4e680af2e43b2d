//! Where calls of a function go, and why.

use dispatch_placement::{Explained, Role};
use dispatch_wire as wire;

use super::{App, Caller, Result};
use dispatch_model::function::Function;

impl App {
    /// How the next call of a function would be decided on the server that answers.
    pub async fn placement_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<wire::PlacementReport> {
        let function = self.get::<Function>(caller, name).await?;
        let explained = self.invoker.explain(&caller.org, &function.meta.name).await?;
        let versions = explained.versions.into_iter().map(|(version, percent, engines)| {
            let engines = engines.into_iter().map(engine).collect();
            wire::placement_report::PlacementOfVersion { version, percent, engines }
        });
        Ok(wire::PlacementReport {
            function: name.to_owned(),
            placement: wire::Placement::from_model(&explained.placement),
            versions: versions.collect(),
        })
    }
}

fn engine(line: Explained) -> wire::placement_report::PlacementOfEngine {
    let role = match line.role {
        Role::Primary => "primary",
        Role::Burst => "burst",
        Role::Unfit => "unfit",
    };
    wire::placement_report::PlacementOfEngine {
        engine: line.engine,
        role: role.to_owned(),
        next: line.next,
        tier: line.tier,
        score: line.score,
        cost: line.cost,
        share: line.share,
        in_flight: line.in_flight,
        max_concurrency: line.max_concurrency,
        latency_us: line.latency_us,
        passed_over: line.passed_over,
        cordoned: line.cordoned,
    }
}
