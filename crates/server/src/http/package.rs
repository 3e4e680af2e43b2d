//! `/v1/package`: what is installed in images and functions, and in which. An addition to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dispatch_store::content::{MAX_ROWS, PackageQuery};
use dispatch_wire as wire;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::query::Parameters;
use crate::app::{App, Caller};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(users))
}

/// Which packages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only those of this name.
    name: Option<String>,
    /// Only those of this ecosystem: `deb`, `apk`, `rpm`, `pypi`, `npm`, …
    ecosystem: Option<String>,
    /// Only this version.
    version: Option<String>,
    /// Entries of the answer, 1 to 10000, which is also the default.
    limit: Option<u32>,
}

impl From<Asked> for PackageQuery {
    fn from(asked: Asked) -> Self {
        let limit = asked.limit.unwrap_or(MAX_ROWS);
        let Asked { name, ecosystem, version, .. } = asked;
        Self { name, ecosystem, version, limit }
    }
}

/// Lists packages, with the number of images and functions that have them.
#[utoipa::path(get, path = "/v1/package", tag = "package", operation_id = "package_list",
    params(Asked), responses((status = 200, body = [wire::PackageCount]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(asked): Parameters<Asked>,
) -> ApiResult<Json<Vec<wire::PackageCount>>> {
    let found = app.package_list(&caller, &asked.into()).await?;
    let counts = found.into_iter().map(|row| wire::PackageCount {
        name: row.name,
        ecosystem: row.ecosystem,
        version: row.version,
        images: row.images,
        functions: row.functions,
    });
    Ok(Json(counts.collect()))
}

/// Lists the functions and images that have a package, named by `name`.
#[utoipa::path(get, path = "/v1/package/users", tag = "package", operation_id = "package_users",
    params(Asked), responses((status = 200, body = [wire::PackageUser]), Problems))]
async fn users(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(asked): Parameters<Asked>,
) -> ApiResult<Json<Vec<wire::PackageUser>>> {
    let found = app.package_users(&caller, &asked.into()).await?;
    let users = found.into_iter().map(|row| wire::PackageUser {
        kind: row.kind.as_str().to_owned(),
        name: row.user,
        package: row.package,
        ecosystem: row.ecosystem,
        version: row.version,
    });
    Ok(Json(users.collect()))
}
