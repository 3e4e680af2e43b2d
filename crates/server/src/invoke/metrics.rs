//! What is counted about runs, by engine.

use std::time::Duration;

use dispatch_model::quota::Limit;
use dispatch_model::{InvocationErrorType, Run};
use dispatch_placement::Word;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::attempt::Attempted;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    engine: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    engine: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Placed {
    engine: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEngine {
    engine: String,
}

/// Families over all engines.
#[derive(Debug)]
pub struct RunMetrics {
    attempts: Family<Outcome, Counter>,
    seconds: Family<Phase, Histogram, fn() -> Histogram>,
    cold: Family<OfEngine, Counter>,
    placed: Family<Placed, Counter>,
    /// Queued runs that failed and wait to be tried again.
    pub(super) retries: Counter,
    /// Queued runs that failed for good.
    pub(super) dead: Counter,
    /// In the order of [`Limit::ALL`].
    refused: [Counter; Limit::ALL.len()],
    /// Attempts to store what was used.
    pub(super) usage_failures: Counter,
}

/// The same for one engine, looked up once.
#[derive(Debug)]
pub struct EngineMetrics {
    ok: Counter,
    input_error: Counter,
    function_error: Counter,
    system_error: Counter,
    cold: Counter,
    queued: Histogram,
    wait: Histogram,
    handler: Histogram,
    own: Histogram,
    total: Histogram,
    /// By the place of the reason among [`Word::ALL`].
    placed: Vec<Counter>,
}

/// 50 µs to 52 s, each twice the one before.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 21))
}

impl RunMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let mut metrics = Self {
            attempts: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            cold: Family::default(),
            placed: Family::default(),
            retries: Counter::default(),
            dead: Counter::default(),
            refused: Default::default(),
            usage_failures: Counter::default(),
        };
        let help = "Attempts at runs, by engine and by how they ended";
        registry.register("dispatch_run_attempts", help, metrics.attempts.clone());
        let help = "Time of an attempt: queued before it, waiting for a worker, in the handler, \
                    Dispatch's own share, and from its start to its end";
        registry.register("dispatch_run_seconds", help, metrics.seconds.clone());
        let help = "Attempts for which a worker had to be started";
        registry.register("dispatch_run_cold_starts", help, metrics.cold.clone());
        let help = "Calls sent to an engine, by why it was chosen";
        registry.register("dispatch_run_placements", help, metrics.placed.clone());
        let help = "Queued runs put back to be tried again";
        registry.register("dispatch_run_retries", help, metrics.retries.clone());
        let help = "Queued runs that failed for good";
        registry.register("dispatch_run_dead_letters", help, metrics.dead.clone());
        let help = "Requests refused because an organization's quota is reached, by limit";
        let refused = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register("dispatch_quota_refusals", help, refused.clone());
        metrics.refused =
            Limit::ALL.map(|limit| refused.get_or_create_owned(&[("limit", limit.as_str())]));
        let help = "Writes of usage that failed; what they held is told by the next";
        registry.register("dispatch_usage_write_failures", help, metrics.usage_failures.clone());
        metrics
    }

    /// Counts a request that was refused for a quota.
    pub fn refused(&self, limit: Limit) {
        let at = Limit::ALL.iter().position(|other| *other == limit);
        at.and_then(|at| self.refused.get(at)).map(Counter::inc);
    }

    fn placement(&self, engine: &str, word: Word) -> Counter {
        let (engine, reason) = (engine.to_owned(), word.as_str());
        self.placed.get_or_create_owned(&Placed { engine, reason })
    }

    pub fn engine(&self, name: &str) -> EngineMetrics {
        let engine = || name.to_owned();
        let outcome =
            |outcome| self.attempts.get_or_create_owned(&Outcome { engine: engine(), outcome });
        let phase = |phase| self.seconds.get_or_create_owned(&Phase { engine: engine(), phase });
        EngineMetrics {
            ok: outcome("ok"),
            input_error: outcome("input_error"),
            function_error: outcome("function_error"),
            system_error: outcome("system_error"),
            cold: self.cold.get_or_create_owned(&OfEngine { engine: engine() }),
            queued: phase("queued"),
            wait: phase("wait"),
            handler: phase("handler"),
            own: phase("own"),
            total: phase("total"),
            placed: Word::ALL.map(|word| self.placement(name, word)).into(),
        }
    }
}

impl EngineMetrics {
    /// Counts a call that goes to the engine.
    pub fn placed(&self, word: Word) {
        let at = Word::ALL.iter().position(|other| *other == word);
        at.and_then(|at| self.placed.get(at)).map(Counter::inc);
    }

    /// Counts an attempt that has ended.
    pub fn attempted(&self, run: &Run, attempted: &Attempted) {
        let outcome = match run.error.as_ref().map(|error| error.kind) {
            None => &self.ok,
            Some(InvocationErrorType::InputError) => &self.input_error,
            Some(InvocationErrorType::FunctionError) => &self.function_error,
            Some(InvocationErrorType::SystemError) => &self.system_error,
        };
        outcome.inc();
        let phases = &attempted.phases;
        if phases.cold {
            self.cold.inc();
        }
        let begun_us = run.executed_us.unwrap_or(run.accepted_us);
        let total = between(begun_us, run.finished_us.unwrap_or(begun_us));
        if !run.blocking && run.attempts == 1 {
            self.queued.observe(between(run.accepted_us, begun_us).as_secs_f64());
        }
        let own = total.saturating_sub(phases.wait + phases.handler);
        self.wait.observe(phases.wait.as_secs_f64());
        self.handler.observe(phases.handler.as_secs_f64());
        self.own.observe(own.as_secs_f64());
        self.total.observe(total.as_secs_f64());
    }
}

fn between(from_us: i64, to_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(to_us - from_us).unwrap_or(0))
}
