//! What is counted about the audit log, beside what the store has written.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

#[derive(Debug)]
pub struct AuditMetrics {
    pub refused: Counter,
    pub unnamed: Counter,
    pub failures: Counter,
}

impl AuditMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            refused: counter("dispatch_audit_refused", "Requests of the API that were refused"),
            unnamed: counter(
                "dispatch_audit_unnamed",
                "Refused requests the audit log counts without saying whose they were",
            ),
            failures: counter(
                "dispatch_audit_failures",
                "Times refused requests could not be written and were kept for later",
            ),
        }
    }
}
