//! `/healthz`, `/readyz`, `/metrics`: for load balancers and operators, without signing in. They
//! tell nothing of any organization.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::app::App;

/// How long the database may take to answer: whoever asks has other servers to send requests to.
const PATIENCE: Duration = Duration::from_secs(2);
/// Finished runs that may wait to be written before the server counts as not ready.
const QUEUE_ALARM: u64 = 50_000;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// The process is up.
async fn healthz() -> Response {
    Json(json!({"version": crate::boot::version()})).into_response()
}

/// What the server stands on answers.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut checks = serde_json::Map::new();
    let mut ready = true;
    let mut check = |name: String, outcome: Result<(), String>| {
        ready &= outcome.is_ok();
        checks.insert(name, outcome.map_or_else(Into::into, |()| "ok".into()));
    };
    let database = match tokio::time::timeout(PATIENCE, app.store.ping()).await {
        Ok(ping) => ping.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the database does not answer within {} s", PATIENCE.as_secs())),
    };
    check("database".to_owned(), database);
    let queued = app.store.run_writer_stats().queued;
    let writer = format!("{queued} finished runs wait to be written");
    check("runs".to_owned(), if queued < QUEUE_ALARM { Ok(()) } else { Err(writer) });
    // A foreign engine that is away is no reason to send requests to another server.
    for member in app.engines.members().iter().filter(|member| member.is_embedded()) {
        let health = member.engine.health().await;
        let outcome = if health.ok { Ok(()) } else { Err(health.message) };
        check(format!("engine {}", member.name()), outcome);
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "checks": checks}))).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.render(&app.store, &app.engines).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
