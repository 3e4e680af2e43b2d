//! What is counted about images.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug)]
pub struct ContentMetrics {
    builds: Family<Outcome, Counter>,
    seconds: Histogram,
    verdicts: Family<Outcome, Counter>,
    /// Content held against known vulnerabilities.
    pub(super) scanned: Counter,
    /// Bytes deleted from this server's disk.
    pub(super) pruned: Counter,
}

impl ContentMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            builds: Family::default(),
            // 10 ms to 40 min.
            seconds: Histogram::new(exponential_buckets(0.01, 2.0, 18)),
            verdicts: Family::default(),
            scanned: Counter::default(),
            pruned: Counter::default(),
        };
        let help = "Images built or found built, by outcome: ready, failed";
        registry.register("dispatch_image_builds", help, metrics.builds.clone());
        let help = "Time to build an image, or to find it built";
        registry.register("dispatch_image_build_seconds", help, metrics.seconds.clone());
        let help = "Images and functions held against image policies: admitted, refused";
        registry.register("dispatch_image_policy_verdicts", help, metrics.verdicts.clone());
        let help = "Content held against known vulnerabilities";
        registry.register("dispatch_content_scanned", help, metrics.scanned.clone());
        let help = "Content deleted because nothing needed it";
        let (name, unit) = ("dispatch_content_pruned", Unit::Bytes);
        registry.register_with_unit(name, help, unit, metrics.pruned.clone());
        metrics
    }

    pub(super) fn built(&self, ready: bool, took: Duration) {
        let outcome = if ready { "ready" } else { "failed" };
        self.builds.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn judged(&self, admitted: bool) {
        let outcome = if admitted { "admitted" } else { "refused" };
        self.verdicts.get_or_create(&Outcome { outcome }).inc();
    }
}
