//! What base images, images and functions are made of: `/v1/KIND/{name}/content` and
//! `/v1/KIND/{name}/bill`. Additions to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use dispatch_images::sbom::{CYCLONEDX_MEDIA_TYPE, SPDX_MEDIA_TYPE};
use dispatch_model::{ResourceKind, Violation};
use dispatch_wire as wire;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::query::Parameters;
use crate::app::{App, Caller};
use crate::content::bill::{Format, Known};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(base_image_content))
        .routes(routes!(base_image_bill))
        .routes(routes!(image_content))
        .routes(routes!(image_bill))
        .routes(routes!(function_content))
        .routes(routes!(function_bill))
}

/// Which document.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `cyclonedx` (1.6, the default) or `spdx` (2.3), both in JSON.
    format: Option<String>,
}

fn content(known: Known) -> Json<wire::Content> {
    let Known { digest, body, packages } = known;
    let layer = |layer: crate::content::bill::LayerBody| wire::Layer {
        digest: layer.digest,
        size: layer.size,
        created_by: layer.created_by,
    };
    let link =
        |link: crate::content::bill::Link| wire::Link { kind: link.kind, digest: link.digest };
    let package = |package: dispatch_images::inventory::Package| wire::Package {
        name: package.name,
        ecosystem: package.ecosystem.as_str().to_owned(),
        version: package.version,
        licences: package.licences,
        purl: package.purl,
        location: package.location,
    };
    Json(wire::Content {
        digest,
        kind: body.kind,
        os: body.os.map(|os| os.name),
        platform: body.platform,
        chain: body.chain.into_iter().map(link).collect(),
        layers: body.layers.into_iter().map(layer).collect(),
        packages: packages.into_iter().map(package).collect(),
        notes: body.notes.into_iter().map(|n| format!("{}: {}", n.location, n.problem)).collect(),
    })
}

async fn bill(
    app: &App,
    caller: &Caller,
    kind: ResourceKind,
    name: &str,
    asked: &Asked,
) -> ApiResult<Response> {
    let (format, media_type) = match asked.format.as_deref().unwrap_or("cyclonedx") {
        "cyclonedx" => (Format::CycloneDx, CYCLONEDX_MEDIA_TYPE),
        "spdx" => (Format::Spdx, SPDX_MEDIA_TYPE),
        other => {
            let rule = format!("is {other:?}, must be cyclonedx or spdx");
            return Err(Violation::new("format", rule).into());
        }
    };
    let document = app.content_bill(caller, kind, name, format).await?;
    Ok(([(CONTENT_TYPE, media_type)], document).into_response())
}

/// Writes the two operations of a kind.
macro_rules! operations {
    ($content:ident, $bill:ident, $kind:ident, $tag:literal, $path:literal, $bill_path:literal) => {
        /// Layers and packages of its content.
        #[utoipa::path(get, path = $path, tag = $tag,
                                    responses((status = 200, body = wire::Content), Problems))]
        async fn $content(
            caller: Caller,
            State(app): State<Arc<App>>,
            Path(name): Path<String>,
        ) -> ApiResult<Json<wire::Content>> {
            Ok(content(app.content_get(&caller, ResourceKind::$kind, &name).await?))
        }

        /// Its bill of materials (SBOM).
        #[utoipa::path(get, path = $bill_path, tag = $tag, params(Asked),
                                    responses((status = 200, body = serde_json::Value), Problems))]
        async fn $bill(
            caller: Caller,
            State(app): State<Arc<App>>,
            Path(name): Path<String>,
            Parameters(asked): Parameters<Asked>,
        ) -> ApiResult<Response> {
            bill(&app, &caller, ResourceKind::$kind, &name, &asked).await
        }
    };
}

operations!(
    base_image_content,
    base_image_bill,
    BaseImage,
    "baseimage",
    "/v1/baseimage/{name}/content",
    "/v1/baseimage/{name}/bill"
);
operations!(
    image_content,
    image_bill,
    Image,
    "image",
    "/v1/image/{name}/content",
    "/v1/image/{name}/bill"
);
operations!(
    function_content,
    function_bill,
    Function,
    "function",
    "/v1/function/{name}/content",
    "/v1/function/{name}/bill"
);
