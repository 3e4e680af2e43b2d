//! One engine in use, with what placement knows of it. Changed by putting another in its place.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dispatch_driver::{Engine, Health};
use dispatch_model::engine::EngineSpec;
use dispatch_model::resource::now_ms;

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
        Self { name: name.into(), engine, spec, made_of, embedded: None, seen }
    }

    /// A part of the server.
    pub fn embedded(engine: Arc<dyn Engine>, rank: usize) -> Self {
        let name: Arc<str> = engine.name().into();
        let spec = EngineSpec { engine_type: name.to_string(), ..EngineSpec::default() };
        let seen = Arc::default();
        Self { name, engine, spec, made_of: String::new(), embedded: Some(rank), seen }
    }

    /// The same engine under another spec.
    pub fn with_spec(&self, spec: EngineSpec) -> Self {
        Self {
            name: self.name.clone(),
            engine: self.engine.clone(),
            spec: facts(spec),
            made_of: self.made_of.clone(),
            embedded: self.embedded,
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

    /// Calls it serves now, as far as this server knows.
    pub fn in_flight(&self) -> u64 {
        self.engine.workers().0
    }

    /// What the last look found; `None` before the first.
    pub fn seen(&self) -> Option<Arc<Seen>> {
        self.seen.load_full()
    }

    /// Remembers what a look found.
    pub fn saw(&self, health: Health) {
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
