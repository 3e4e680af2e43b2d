//! What is counted about access.

use std::time::Duration;

use dispatch_access::Action;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    action: &'static str,
    resource: &'static str,
}

#[derive(Debug)]
pub struct AccessMetrics {
    policies: Gauge,
    broken: Gauge,
    seconds: Histogram,
    refused: Family<Asked, Counter>,
}

impl Default for AccessMetrics {
    fn default() -> Self {
        Self {
            policies: Gauge::default(),
            broken: Gauge::default(),
            // 250 µs to 8 s.
            seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            refused: Family::default(),
        }
    }
}

impl AccessMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let help = "Policies that hold, of all organizations";
        registry.register("dispatch_access_policies", help, self.policies.clone());
        let help = "Rules and roles that are stored and cannot be read, or not wholly";
        registry.register("dispatch_access_broken", help, self.broken.clone());
        let help = "Time to read and compile all policies, roles and groups after a change";
        registry.register("dispatch_access_reload_seconds", help, self.seconds.clone());
        let help = "Requests refused because their caller lacks a right, by what it lacks";
        registry.register("dispatch_access_refused", help, self.refused.clone());
    }

    pub(super) fn loaded(&self, policies: usize, broken: usize, took: Duration) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.policies.set(number(policies));
        self.broken.set(number(broken));
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn refused(&self, action: Action, resource: &'static str) {
        self.refused.get_or_create(&Asked { action: action.as_str(), resource }).inc();
    }
}
