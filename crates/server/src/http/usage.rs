//! `/v1/usage`: what organizations used, by the hour or the day. An addition to v1.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use dispatch_store::usage::UsageRow;
use dispatch_wire as wire;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::query::Parameters;
use crate::app::usage::UsageAsked;
use crate::app::{App, Caller};

const CSV: &str = "text/csv; charset=utf-8";
const TITLES: &str = "organization,function,time,runs,errors,durationMs,memoryMibMs,bytesIn,\
                      bytesOut,storageBytes,maxConcurrency\n";

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    Hour,
    #[default]
    Day,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// Which usage.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// From this time on, unix seconds; seven days before `until` when absent.
    since: Option<i64>,
    /// Before this time, unix seconds; now when absent.
    until: Option<i64>,
    /// Whether hours or whole days (UTC) are told; days when absent.
    #[serde(default)]
    by: By,
    /// Only this function; `*` tells each function by itself.
    function: Option<String>,
    /// Of all organizations, by a right that holds in each of them.
    #[serde(default)]
    all_organizations: bool,
    /// `json` or `csv`.
    #[serde(default)]
    format: Format,
}

/// Tells what was used.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", operation_id = "usage_list", params(Asked),
    responses((status = 200, body = [wire::Usage]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(asked): Parameters<Asked>,
) -> ApiResult<Response> {
    let Asked { since, until, by, function, all_organizations: everywhere, format } = asked;
    let by_day = matches!(by, By::Day);
    let asked = UsageAsked { since, until, by_day, function, everywhere };
    let rows = app.usage_list(&caller, &asked).await?;
    Ok(match format {
        Format::Json => Json(rows.into_iter().map(told).collect::<Vec<_>>()).into_response(),
        Format::Csv => ([(header::CONTENT_TYPE, CSV)], csv(rows)).into_response(),
    })
}

fn told(row: UsageRow) -> wire::Usage {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let function = Some(row.function).filter(|name| !name.is_empty());
    wire::Usage {
        organization: row.org,
        time: row.hour * 3_600,
        runs: number(row.runs),
        errors: number(row.errors),
        duration_ms: number(row.duration_us) / 1_000,
        memory_mib_ms: number(row.memory_mib_ms),
        bytes_in: number(row.bytes_in),
        bytes_out: number(row.bytes_out),
        storage_bytes: function.is_none().then(|| number(row.storage_bytes)),
        max_concurrency: number(row.concurrency),
        function,
    }
}

/// Names have no character that would have to be quoted.
fn csv(rows: Vec<UsageRow>) -> String {
    let mut text = TITLES.to_owned();
    for usage in rows.into_iter().map(told) {
        let time = DateTime::<Utc>::from_timestamp(usage.time, 0).unwrap_or_default();
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let storage = usage.storage_bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
        let wire::Usage { organization, runs, errors, duration_ms, memory_mib_ms, .. } = &usage;
        let wire::Usage { bytes_in, bytes_out, max_concurrency, .. } = &usage;
        let function = usage.function.as_deref().unwrap_or_default();
        writeln!(
            text,
            "{organization},{function},{time},{runs},{errors},{duration_ms},{memory_mib_ms},\
             {bytes_in},{bytes_out},{storage},{max_concurrency}"
        )
        .expect("writing to a String does not fail");
    }
    text
}
