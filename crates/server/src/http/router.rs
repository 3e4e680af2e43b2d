//! All routes together, and what lies around them.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use dispatch_model::code;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use super::error::plain;
use super::measure::{self, ApiMetrics};
use super::openapi::Document;
use super::{
    api, application, audit, base_image, content, engine, function, function_version, health, iam,
    image, image_policy, image_upkeep, package, refused, request_id, root_key, run, secret,
    secret_version, usage, version, vulnerability,
};
use crate::app::App;

/// The documented routes and their document.
pub fn documented() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(base_image::routes())
        .merge(image::routes())
        .merge(image_policy::routes())
        .merge(image_upkeep::routes())
        .merge(function::routes())
        .merge(function_version::routes())
        .merge(run::routes())
        .merge(secret::routes())
        .merge(secret_version::routes())
        .merge(root_key::routes())
        .merge(api::routes())
        .merge(application::routes())
        .merge(engine::routes())
        .merge(package::routes())
        .merge(content::routes())
        .merge(vulnerability::routes())
        .merge(usage::routes())
        .merge(iam::routes())
        .merge(audit::routes())
        .merge(version::routes())
        .split_for_parts()
}

/// Everything the API's address serves.
pub fn router(app: Arc<App>) -> Router {
    let (routes, document) = documented();
    let metrics = Arc::new(app.metrics.register(ApiMetrics::register));
    let json = super::openapi::text(&document);
    let serve = move || async move { ([(header::CONTENT_TYPE, "application/json")], json.clone()) };
    routes
        .merge(health::routes())
        .route("/openapi.json", get(serve))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
        .fallback(nothing_here)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), refused::layer))
        .layer(middleware::from_fn(request_id::layer))
        .layer(middleware::from_fn_with_state(metrics, measure::layer))
        .with_state(app)
}

async fn nothing_here(uri: Uri) -> Response {
    let message = format!("there is nothing at {}; the API is described at /docs/", uri.path());
    plain(StatusCode::NOT_FOUND, code::API002, message)
}

async fn no_such_method(request: Request) -> Response {
    let message = format!("{} is not possible at {}", request.method(), request.uri().path());
    plain(StatusCode::METHOD_NOT_ALLOWED, code::API002, message)
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request handler panicked");
    plain(StatusCode::INTERNAL_SERVER_ERROR, code::API009, "internal error").into_response()
}

/// Collections answer with and without the trailing slash. Runs before routing.
pub fn without_trailing_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path();
    if !path.starts_with("/v1/") || !path.ends_with('/') {
        return request;
    }
    let path = path.trim_end_matches('/');
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(uri) = text.parse() {
        *request.uri_mut() = uri;
    }
    request
}
