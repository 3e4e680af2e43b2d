//! A small fleet and calls on it.

use std::sync::Arc;

use dispatch_model::Labels;
use dispatch_model::placement::{PlacementSpec, Preference};
use dispatch_placement::{
    Candidate, Ending, EngineSettings, EngineState, Fleet, Picked, Plan, Queue, Refusal, Tried, mix,
};

pub const SECOND: u64 = 1_000_000_000;

pub struct Rig {
    pub fleet: Arc<Fleet>,
    pub engines: Vec<Arc<EngineState>>,
    pub queue: Arc<Queue>,
    random: std::cell::Cell<u64>,
}

impl Rig {
    /// Engines as `name`, `region`, most calls, cost.
    pub fn new(engines: &[(&str, &str, u32, u32)]) -> Self {
        let fleet = Fleet::new();
        let engine = |(name, region, most, cost): &(&str, &str, u32, u32)| {
            let settings = EngineSettings {
                labels: labels(&[("region", region)]),
                cost: *cost,
                max_concurrency: *most,
                ..EngineSettings::default()
            };
            fleet.engine(name, settings).unwrap()
        };
        let engines = engines.iter().map(engine).collect();
        Self { fleet, engines, queue: Arc::default(), random: 1.into() }
    }

    pub fn plan(&self, spec: &PlacementSpec) -> Plan {
        spec.check().unwrap();
        let fits = |engine: &Arc<EngineState>| Candidate {
            engine: engine.clone(),
            unfit: None,
            room: None,
        };
        let candidates = self.engines.iter().map(fits).collect();
        Plan::compile(&self.fleet, spec, candidates, 256, &self.queue)
    }

    pub fn random(&self) -> u64 {
        self.random.set(mix(self.random.get()));
        self.random.get()
    }

    pub fn pick(&self, plan: &Plan, now: u64) -> Result<Picked, Refusal> {
        plan.pick(now, self.random(), &Tried::default())
    }

    /// Calls that go well, by engine.
    pub fn shares(&self, plan: &Plan, calls: u32) -> Vec<u32> {
        let mut counts = vec![0; self.engines.len()];
        for _ in 0..calls {
            let picked = self.pick(plan, 0).unwrap();
            counts[picked.index] += 1;
            picked.ticket.settle(1, Ending::Ok);
        }
        counts
    }

    /// Fails until the breaker opens.
    pub fn break_engine(&self, at: usize, now: u64) {
        let only = vec![Candidate { engine: self.engines[at].clone(), unfit: None, room: None }];
        let plan = Plan::compile(&self.fleet, &PlacementSpec::default(), only, 0, &Arc::default());
        while let Ok(picked) = plan.pick(now, 0, &Tried::default()) {
            picked.ticket.settle(now, Ending::BackendFailed);
        }
    }
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

pub fn prefer(pairs: &[(&str, u32)]) -> Option<Vec<Preference>> {
    let preference = |(region, weight): &(&str, u32)| Preference {
        labels: labels(&[("region", region)]),
        weight: *weight,
    };
    Some(pairs.iter().map(preference).collect())
}

pub fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}
