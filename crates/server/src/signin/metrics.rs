//! What is counted about sign-ins and sessions.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    provider: String,
    outcome: &'static str,
}

#[derive(Debug, Default)]
pub struct SignInMetrics {
    sign_ins: Family<Ended, Counter>,
    sessions: Gauge,
}

impl SignInMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Sign-ins that ended, by identity provider and outcome: the session began \
                    (ok), it was refused, there were too many attempts (limited), or the provider \
                    failed";
        registry.register("dispatch_sign_ins", help, metrics.sign_ins.clone());
        let help = "Sessions there are";
        registry.register("dispatch_sessions", help, metrics.sessions.clone());
        metrics
    }

    pub fn ended(&self, provider: &str, outcome: &'static str) {
        self.sign_ins.get_or_create(&Ended { provider: provider.to_owned(), outcome }).inc();
    }

    pub fn there(&self, sessions: usize) {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }
}
