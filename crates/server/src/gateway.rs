//! The embedded gateway: a route bound to a function is an HTTP and HTTPS endpoint.
//!
//! Sees `invoke` only. The `api` controller tells it the routes and certificates; nothing here
//! reads the store. A request costs one look into the route table, however many routes there are.

mod answer;
mod claims;
mod cors;
mod host;
mod http_context;
mod input;
mod method;
mod path;
mod place;
mod rank;
mod reply;
mod route;
mod scope;
mod serve;
mod shards;
mod table;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName, Violation};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::invoke::Invoker;
use tls::Certificates;

pub use method::Methods;
pub use rank::{ApiName, Rank};
pub use table::{Found, Table};

/// The `[gateway]` limits of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time a client may take to send a request's head, and then its body, in seconds.
    pub read_timeout_s: u64,
    /// Connections served at the same time; more wait to be accepted.
    pub max_connections: usize,
    /// Headers of one request.
    pub max_headers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body_bytes: 6 << 20,
            read_timeout_s: 30,
            max_connections: 10_000,
            max_headers: 100,
        }
    }
}

impl Settings {
    fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.read_timeout_s.max(1))
    }
}

/// Answered requests by class of status.
#[derive(Clone)]
pub struct GatewayMetrics {
    by_class: [Counter; 5],
}

impl GatewayMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let family = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let help = "Requests the gateway answered, by class of status";
        registry.register("dispatch_gateway_requests", help, family.clone());
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let by_class = classes.map(|class| family.get_or_create(&[("status", class)]).clone());
        Self { by_class }
    }

    fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.by_class[class - 1].inc();
    }
}

/// The gateway of one server.
pub struct Gateway {
    invoker: Arc<Invoker>,
    settings: Settings,
    table: Table,
    certificates: Arc<Certificates>,
    metrics: GatewayMetrics,
}

impl Gateway {
    pub fn new(
        invoker: Arc<Invoker>,
        certificates: Arc<Certificates>,
        metrics: GatewayMetrics,
        settings: Settings,
    ) -> Arc<Self> {
        let table = Table::default();
        Arc::new(Self { invoker, settings, table, certificates, metrics })
    }

    /// Makes an API's routes what its spec says, in place of what they were. Where several APIs
    /// want the same, the one that was created first has it. Returns the other APIs for which that
    /// made a difference.
    ///
    /// # Errors
    /// A [`Violation`] when the spec can be no route's at all; then nothing is changed.
    pub fn put(
        &self,
        org: &OrgName,
        name: &Name,
        rank: Rank,
        spec: &ApiSpec,
    ) -> Result<Vec<ApiName>, Violation> {
        let others = self.table.put(org, name, rank, spec)?;
        if !spec.enabled {
            self.certificates.remove(org, name);
        }
        Ok(others)
    }

    /// What an API wants and has not: a route that another API had before, or a host that another
    /// organization had.
    pub fn conflict(&self, org: &OrgName, name: &Name) -> Option<Violation> {
        self.table.conflict(org, name)
    }

    /// Takes an API's routes away. Returns the other APIs that have some of them now.
    pub fn remove(&self, org: &OrgName, name: &Name) -> Vec<ApiName> {
        self.certificates.remove(org, name);
        self.table.remove(org, name)
    }

    /// Serves those of an API's hosts that are its organization's with a certificate.
    ///
    /// # Errors
    /// A [`Violation`] naming `tls` when the certificate or key cannot be read, or do not belong
    /// together.
    pub fn put_certificate(
        &self,
        (org, name): (&OrgName, &Name),
        rank: Rank,
        hosts: &[String],
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<(), Violation> {
        let hosts = self.table.own_hosts(org, rank, hosts)?;
        self.certificates.put((org, name), rank, &hosts, certificate_pem, key_pem)
    }

    /// Takes an API's certificate away; its hosts get the gateway's own.
    pub fn remove_certificate(&self, org: &OrgName, name: &Name) {
        self.certificates.remove(org, name);
    }
}

#[cfg(test)]
mod tests;
