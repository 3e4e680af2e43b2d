//! One engine in use, with what placement knows of it. Changed by putting another in its place.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use dispatch_driver::{Engine, Health};
use dispatch_model::engine::EngineSpec;
use dispatch_model::resource::now_ms;
use dispatch_placement::{Breaker, EngineSettings, EngineState, Fleet, FleetFull};

use super::placing::now_ns;

/// An engine under its name.
pub struct Member {
    name: Arc<str>,
    pub engine: Arc<dyn Engine>,
    /// Labels, limits and flags as they are stored; without settings and secrets.
    pub spec: EngineSpec,
    /// What the engine was made of: another text means another engine. Holds no secret's value.
    pub made_of: String,
    /// The place among the engines that are a part of the server; `None` for foreign ones.
    embedded: Option<usize>,
    /// What calls have taught; set when it is put into use.
    state: OnceLock<Arc<EngineState>>,
    seen: Arc<ArcSwapOption<Seen>>,
}

/// What the last look at an engine found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub health: Health,
    /// Unix milliseconds.
    pub at_ms: i64,
}

impl Member {
    /// A foreign engine.
    pub fn new(name: &str, engine: Arc<dyn Engine>, spec: EngineSpec, made_of: String) -> Self {
        let (spec, seen) = (facts(spec), Arc::default());
        let state = OnceLock::new();
        Self { name: name.into(), engine, spec, made_of, embedded: None, state, seen }
    }

    /// A part of the server.
    pub fn embedded(engine: Arc<dyn Engine>, rank: usize) -> Self {
        let name: Arc<str> = engine.name().into();
        let spec = EngineSpec { engine_type: name.to_string(), ..EngineSpec::default() };
        let seen = Arc::default();
        let (embedded, state) = (Some(rank), OnceLock::new());
        Self { name, engine, spec, made_of: String::new(), embedded, state, seen }
    }

    /// The same engine under another spec.
    pub fn with_spec(&self, spec: EngineSpec) -> Self {
        Self {
            name: self.name.clone(),
            engine: self.engine.clone(),
            spec: facts(spec),
            made_of: self.made_of.clone(),
            embedded: self.embedded,
            state: self.state.clone(),
            seen: self.seen.clone(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Whether new deployments may be made on it.
    pub fn takes_new(&self) -> bool {
        !self.spec.cordoned && !self.spec.draining
    }

    pub fn runs(&self, language: &str) -> bool {
        self.engine.capabilities().languages.iter().any(|l| l.eq_ignore_ascii_case(language))
    }

    /// Puts it into use: what was learned of an engine of its name goes on.
    pub(super) fn enter(
        &self,
        fleet: &Arc<Fleet>,
        before: Option<&Member>,
    ) -> Result<(), FleetFull> {
        let settings = self.settings();
        let state = match before.map(Member::state).or(self.state.get()) {
            Some(state) => state.clone(),
            None => fleet.engine(&self.name, settings.clone())?,
        };
        state.configure(settings);
        // Already there: the same.
        let _ = self.state.set(state);
        Ok(())
    }

    fn settings(&self) -> EngineSettings {
        let spec = &self.spec;
        EngineSettings {
            labels: spec.labels.clone(),
            cost: spec.cost,
            max_concurrency: spec.max_concurrency.unwrap_or(0),
            max_memory_mib: spec.max_memory_mib.unwrap_or(0),
            cordoned: spec.cordoned,
            draining: spec.draining,
        }
    }

    /// What placement goes by.
    pub fn state(&self) -> &Arc<EngineState> {
        self.state.get().expect("members are seen by others only after they entered")
    }

    /// Calls this server has on it now.
    pub fn in_flight(&self) -> u64 {
        u64::from(self.state().in_flight())
    }

    /// How the breaker stands that keeps calls from an engine which fails them.
    pub fn breaker(&self) -> Breaker {
        self.state().breaker(now_ns())
    }

    /// What the last look found; `None` before the first.
    pub fn seen(&self) -> Option<Arc<Seen>> {
        self.seen.load_full()
    }

    /// Remembers what a look found.
    pub fn saw(&self, health: Health) {
        self.state().set_health(health.ok);
        self.seen.store(Some(Arc::new(Seen { health, at_ms: now_ms() })));
    }

    /// Sorts before another when it is preferred.
    pub(super) fn preference(&self) -> impl Ord + '_ {
        (self.spec.cost, self.embedded.unwrap_or(usize::MAX), &*self.name)
    }
}

/// Settings are the driver's; nobody else shall come by them here.
fn facts(spec: EngineSpec) -> EngineSpec {
    EngineSpec { settings: Default::default(), secrets: Vec::new(), ..spec }
}
