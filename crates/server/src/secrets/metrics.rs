//! What is counted about stores of secrets.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dispatch_driver::{Error, Fault};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    store: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStore {
    store: String,
}

pub type Age = Gauge<f64, AtomicU64>;

/// Families over all stores.
#[derive(Debug)]
pub struct SecretMetrics {
    reads: Family<Outcome, Counter>,
    seconds: Family<OfStore, Histogram, fn() -> Histogram>,
    hits: Family<OfStore, Counter>,
    stale: Family<OfStore, Counter>,
    age: Family<OfStore, Age>,
}

/// The same for the uses of one store, looked up once.
#[derive(Debug)]
pub struct UseMetrics {
    pub hits: Counter,
    pub stale: Counter,
    pub age: Age,
}

/// 1 ms to 16 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl SecretMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reads: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            hits: Family::default(),
            stale: Family::default(),
            age: Family::default(),
        };
        let help = "Readings of secrets in stores outside, by store and by outcome: ok, refused, \
                    failed";
        registry.register("dispatch_secret_reads", help, metrics.reads.clone());
        let help = "Time of such a reading";
        registry.register("dispatch_secret_read_seconds", help, metrics.seconds.clone());
        let help = "Uses of such secrets that needed no reading";
        registry.register("dispatch_secret_cache_hits", help, metrics.hits.clone());
        let help = "Uses of values past their time, because the store did not answer";
        registry.register("dispatch_secret_stale_uses", help, metrics.stale.clone());
        let help = "How old the values used last were, in seconds";
        registry.register("dispatch_secret_age_seconds", help, metrics.age.clone());
        metrics
    }

    pub fn read(&self, store: &str, took: Duration, error: Option<&Error>) {
        let outcome = match error.map(|error| error.fault) {
            None => "ok",
            Some(Fault::Caller) => "refused",
            Some(Fault::Backend | Fault::Ours) => "failed",
        };
        let store = store.to_owned();
        self.seconds.get_or_create(&OfStore { store: store.clone() }).observe(took.as_secs_f64());
        self.reads.get_or_create(&Outcome { store, outcome }).inc();
    }

    pub fn uses(&self, store: &str) -> UseMetrics {
        let of = OfStore { store: store.to_owned() };
        UseMetrics {
            hits: self.hits.get_or_create_owned(&of),
            stale: self.stale.get_or_create_owned(&of),
            age: self.age.get_or_create_owned(&of),
        }
    }
}
