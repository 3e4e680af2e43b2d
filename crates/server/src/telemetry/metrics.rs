//! What `/metrics` shows. Rooms register their own families; counters used on a call's path are
//! looked up once and kept.

use std::sync::{Mutex, PoisonError};

use dispatch_placement::Breaker;
use dispatch_store::Store;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::invoke::Engines;

/// The registry, and the gauges that are read off when somebody looks.
pub struct Metrics {
    registry: Mutex<Registry>,
    workers_busy: Gauge,
    workers_idle: Gauge,
    engine_up: Family<OfEngine, Gauge>,
    engine_in_flight: Family<OfEngine, Gauge>,
    engine_breaker: Family<OfEngine, Gauge>,
    queue_depth: Gauge,
    writer_queued: Gauge,
    writer_written: Gauge,
    writer_lost: Gauge,
    writer_failures: Gauge,
    audit_written: Gauge,
    audit_last: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEngine {
    engine: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let [engine_up, engine_in_flight, engine_breaker]: [Family<OfEngine, Gauge>; 3] =
            Default::default();
        let help = "Whether this server reaches the engine: 1 or 0";
        registry.register("dispatch_engine_up", help, engine_up.clone());
        let help = "Calls this server has on the engine";
        registry.register("dispatch_engine_in_flight", help, engine_in_flight.clone());
        let help = "The engine's circuit breaker: 0 closed, 1 half open, 2 open";
        registry.register("dispatch_engine_breaker", help, engine_breaker.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            workers_busy: gauge("dispatch_workers_busy", "Workers that serve a call"),
            workers_idle: gauge("dispatch_workers_idle", "Warm workers with nothing to do"),
            engine_up,
            engine_in_flight,
            engine_breaker,
            queue_depth: gauge("dispatch_run_queue_depth", "Accepted runs that have not ended"),
            writer_queued: gauge("dispatch_run_writer_queued", "Runs that wait to be written"),
            writer_written: gauge("dispatch_run_writer_written", "Runs written since the start"),
            writer_lost: gauge("dispatch_run_writer_lost", "Finished runs that were not recorded"),
            writer_failures: gauge("dispatch_run_writer_failures", "Writes that were repeated"),
            audit_written: gauge("dispatch_audit_written", "Entries written since the start"),
            audit_last: gauge("dispatch_audit_last", "The last entry this server has written"),
            registry: Mutex::new(registry),
        }
    }
}

impl Metrics {
    /// Lets a room add its families.
    pub fn register<T>(&self, families: impl FnOnce(&mut Registry) -> T) -> T {
        families(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All metrics in the text format of OpenMetrics.
    pub async fn render(&self, store: &Store, engines: &Engines) -> String {
        let (busy, idle) = engines
            .iter()
            .map(|engine| engine.workers())
            .fold((0, 0), |(busy, idle), (more_busy, more_idle)| {
                (busy + more_busy, idle + more_idle)
            });
        set(&self.workers_busy, busy);
        set(&self.workers_idle, idle);
        self.engines(engines);
        // A database that does not answer shows in /readyz; the other metrics are still of use.
        if let Ok(depth) = store.run_pending().await {
            set(&self.queue_depth, depth);
        }
        let writer = store.run_writer_stats();
        set(&self.writer_queued, writer.queued);
        set(&self.writer_written, writer.written);
        set(&self.writer_lost, writer.lost);
        set(&self.writer_failures, writer.failures);
        let (written, last) = store.audit_stats();
        set(&self.audit_written, written);
        self.audit_last.set(last);
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a String does not fail");
        text
    }
}

impl Metrics {
    /// Engines that are gone leave no line behind.
    fn engines(&self, engines: &Engines) {
        self.engine_up.clear();
        self.engine_in_flight.clear();
        self.engine_breaker.clear();
        for member in engines.members() {
            let of = OfEngine { engine: member.name().to_owned() };
            if let Some(seen) = member.seen() {
                set(&self.engine_up.get_or_create_owned(&of), u64::from(seen.health.ok));
            }
            set(&self.engine_in_flight.get_or_create_owned(&of), member.in_flight());
            let breaker = match member.breaker() {
                Breaker::Closed => 0,
                Breaker::HalfOpen => 1,
                Breaker::Open { .. } => 2,
            };
            set(&self.engine_breaker.get_or_create_owned(&of), breaker);
        }
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
