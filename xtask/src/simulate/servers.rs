//! The servers of the simulation: each with its own view of the fleet, through the real placement.

use std::collections::VecDeque;
use std::sync::Arc;

use dispatch_model::Labels;
use dispatch_model::placement::{PlacementSpec, Strategy};
use dispatch_placement::{
    Candidate, EngineSettings, EngineState, Fleet, Picked, Plan, Queue, Refusal, Rules, Tried,
    Waiting,
};

use super::model::{CLOUD, Engine, REGIONS, WORKERS};
use super::random::Random;

/// Servers that share the engines and do not know of each other.
pub const SERVERS: usize = 2;
/// Calls that may wait at one server.
pub const QUEUE: usize = 10_000;

pub struct Server {
    pub engines: Vec<Arc<EngineState>>,
    plan: Plan,
    /// In the order they came, with what counts them.
    pub waiting: VecDeque<(u32, Waiting)>,
    /// Whether somebody comes to look after those that wait.
    pub wakes: bool,
}

impl Server {
    pub fn new(engines: &[Engine], spec: &PlacementSpec, breaker: bool) -> Self {
        let never = Rules { consecutive: u32::MAX, percent: 101, ..Rules::default() };
        let fleet = if breaker { Fleet::new() } else { Fleet::with_rules(never) };
        let state = |(n, engine): (usize, &Engine)| {
            let region = REGIONS.get(engine.region).unwrap_or(&CLOUD);
            let limit = if engine.workers == usize::MAX { 0 } else { WORKERS.div_ceil(SERVERS) };
            let settings = EngineSettings {
                labels: Labels::from([("region".to_owned(), region.name.to_owned())]),
                cost: engine.cost,
                max_concurrency: limit as u32,
                ..EngineSettings::default()
            };
            let cloud = engine.region == REGIONS.len();
            let name = if cloud { CLOUD.name.to_owned() } else { format!("{}-{n}", region.name) };
            fleet.engine(&name, settings).expect("as many engines as were allowed")
        };
        let engines: Vec<_> = engines.iter().enumerate().map(state).collect();
        let fits = |engine: &Arc<EngineState>| Candidate {
            engine: engine.clone(),
            unfit: None,
            room: None,
        };
        let candidates = engines.iter().map(fits).collect();
        let plan = Plan::compile(&fleet, spec, candidates, 256, &Arc::new(Queue::default()));
        Self { engines, plan, waiting: VecDeque::new(), wakes: false }
    }

    pub fn pick(&self, now: u64, random: &mut Random, tried: &Tried) -> Result<Picked, Refusal> {
        self.plan.pick(now, random.next(), tried)
    }

    pub fn wait(&mut self, call: u32) {
        let waiting = self.plan.queue().enter();
        self.waiting.push_back((call, waiting));
    }
}

/// The engines of a run: regions by their percents, and a cloud where there is one.
pub fn engines(count: usize, cloud: bool, random: &mut Random) -> Vec<Engine> {
    let mut all = Vec::with_capacity(count + 1);
    for n in 0..count {
        // Spread evenly: of each hundred neighbours, each region has its percent.
        let part = n * 37 % 100;
        let (mut region, mut end) = (0, REGIONS[0].percent);
        while part >= end {
            region += 1;
            end += REGIONS[region].percent;
        }
        all.push(Engine::new(region, random));
    }
    if cloud {
        all.push(Engine::new(REGIONS.len(), random));
    }
    all
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    pub strategy: Strategy,
    /// Without it, to see what it is good for.
    pub breaker: bool,
}

impl Variant {
    pub fn name(self) -> String {
        let without = if self.breaker { "" } else { ", no breaker" };
        format!("{}{without}", self.strategy.as_str())
    }
}
