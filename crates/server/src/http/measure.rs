//! What is counted about requests of the API: by route as documented, never by the path as sent.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The route of a request that met none.
const NO_ROUTE: &str = "(none)";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
}

/// Families over all routes.
#[derive(Debug)]
pub struct ApiMetrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
}

/// 250 µs to 65 s, each four times the one before.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 4.0, 10))
}

impl ApiMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let metrics = Self { requests: Family::default(), seconds };
        let help = "Requests the API answered, by route, method and status";
        registry.register("dispatch_api_requests", help, metrics.requests.clone());
        let help = "Time from a request of the API to the head of its answer";
        registry.register("dispatch_api_request_seconds", help, metrics.seconds.clone());
        metrics
    }
}

/// The layer.
pub async fn layer(
    State(metrics): State<Arc<ApiMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let (method, began) = (method(request.method()), Instant::now());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let asked = Asked { route: route.clone(), method };
    metrics.seconds.get_or_create(&asked).observe(began.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&Answered { route, method, status }).inc();
    response
}

/// Clients may make methods up; they shall not make series up.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("(other)")
}
