//! `/v1/audit`: who changed what, and who was refused. An addition to v1.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use dispatch_model::Violation;
use dispatch_model::audit::{Link, Outcome, Place};
use dispatch_store::AuditQuery;
use dispatch_wire as wire;
use futures::future::ready;
use futures::stream::once;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiResult;
use super::openapi::Problems;
use super::query::{Parameters, limit};
use super::reply;
use crate::app::{App, Caller, Error, Result};

/// Entries on a page unless another number is asked for.
const PAGE: u32 = 100;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(verify))
}

/// Which entries, and how.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `json` (the default): a page, the newest first. `jsonlines`, `cloudevents` (a batch, 1.0):
    /// all entries asked for, the oldest first.
    format: Option<String>,
    /// Those of all organizations and of the installation itself: needs a right that holds
    /// everywhere.
    all: Option<bool>,
    /// From this time on, in unix seconds.
    since: Option<i64>,
    /// Before this time, in unix seconds.
    until: Option<i64>,
    /// Who: `ORGANIZATION/NAME` of an account, `local-admin`, `anonymous`, …
    actor: Option<String>,
    /// `create`, `update`, `delete`, `read`, …
    action: Option<String>,
    /// `function`, `secret`, `policy`, …
    resource: Option<String>,
    /// The name of the thing.
    name: Option<String>,
    /// `allowed` or `refused`.
    outcome: Option<String>,
    request_id: Option<String>,
    /// Entries on a page, 1 to 1000; 100 unless it is given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Token in the header X-Dispatch-Continue of the page before.
    #[serde(rename = "continue")]
    token: Option<String>,
}

/// What the log must hold.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Expected {
    /// `SEQ:LINK` of an entry, as an earlier look showed it.
    expect: Option<String>,
}

impl Asked {
    fn query(&self) -> std::result::Result<AuditQuery, Violation> {
        let outcome = self.outcome.as_deref();
        if let Some(wrong) = outcome.filter(|text| Outcome::parse(text).is_none()) {
            let rule = format!("is {wrong:?}, must be allowed or refused");
            return Err(Violation::new("outcome", rule));
        }
        let ms = |field: &str, seconds: Option<i64>| {
            let fits = |s: i64| s.checked_mul(1_000).filter(|ms| *ms >= 0);
            let rule = "must be a number: unix seconds";
            seconds.map(|s| fits(s).ok_or_else(|| Violation::new(field, rule))).transpose()
        };
        let token = |text: &str| text.parse().ok().filter(|seq: &i64| *seq > 0);
        let after = self.token.as_deref();
        let wrong = || Violation::new("continue", "is not a token of ours");
        let after = after.map(|text| token(text).ok_or_else(wrong)).transpose()?;
        Ok(AuditQuery {
            org: None,
            since_ms: ms("since", self.since)?,
            until_ms: ms("until", self.until)?,
            actor: self.actor.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            name: self.name.clone(),
            outcome: self.outcome.clone(),
            request_id: self.request_id.clone(),
            oldest_first: false,
            after,
            limit: self.limit.as_deref().map(limit).transpose()?.unwrap_or(PAGE),
        })
    }
}

/// Lists entries of the audit log, or exports them.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", operation_id = "audit_list",
    params(Asked), responses((status = 200, body = [wire::AuditEntry]), Problems))]
async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    uri: axum::http::Uri,
    Parameters(asked): Parameters<Asked>,
) -> ApiResult<Response> {
    let (query, everywhere) = (asked.query()?, asked.all.unwrap_or(false));
    let format = asked.format.as_deref().unwrap_or("json");
    if format == "json" {
        let page = app.audit_list(&caller, everywhere, query).await?;
        let next = page.continue_token.as_deref();
        return Ok(reply::shapes_page(&without_token(&uri), next, &page.items));
    }
    if asked.limit.is_some() || asked.token.is_some() {
        let rule = "goes with format=json only: an export is all there is";
        return Err(Violation::new("limit", rule).into());
    }
    let export = app.audit_export(&caller, everywhere, query);
    match format {
        "jsonlines" => Ok(lines(export.await?)),
        "cloudevents" => Ok(events(export.await?)),
        other => {
            let rule = format!("is {other:?}, must be json, jsonlines or cloudevents");
            Err(Violation::new("format", rule).into())
        }
    }
}

/// Verifies the audit log of the installation from its first entry to its last.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit", operation_id = "audit_verify",
    params(Expected), responses((status = 200, body = wire::AuditVerdict), Problems))]
async fn verify(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(Expected { expect }): Parameters<Expected>,
) -> ApiResult<Json<wire::AuditVerdict>> {
    let expected = expect.as_deref().map(place).transpose()?;
    let verdict = app.audit_verify(&caller, expected).await?;
    let why =
        |(seq, why): (i64, String)| wire::AuditBreak { seq, why: format!("entry {seq} {why}") };
    Ok(Json(wire::AuditVerdict {
        right: verdict.broken.is_none(),
        entries: verdict.entries,
        first: verdict.start.seq + 1,
        last: verdict.last.seq,
        link: verdict.last.link,
        broken: verdict.broken.map(why),
    }))
}

fn place(text: &str) -> std::result::Result<Place, Violation> {
    let read = |text: &str| {
        let (seq, link) = text.split_once(':')?;
        Some(Place { seq: seq.parse().ok().filter(|seq| *seq >= 0)?, link: Link::parse(link)? })
    };
    let rule = "must be SEQ:LINK: the number of an entry, and 64 hex digits";
    read(text).ok_or_else(|| Violation::new("expect", rule))
}

/// Path and query for the link to the next page.
fn without_token(uri: &axum::http::Uri) -> String {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    kept.extend_pairs(pairs.filter(|(key, _)| key != "continue"));
    format!("{}?{}", uri.path(), kept.finish())
}

type Batch = Result<Vec<wire::AuditEntry>>;

/// An entry a line.
fn lines(batches: impl Stream<Item = Batch> + Send + 'static) -> Response {
    let text = |entries: Vec<wire::AuditEntry>| {
        let mut text = String::new();
        for entry in &entries {
            text += &serde_json::to_string(entry).map_err(Error::internal)?;
            text.push('\n');
        }
        Ok(Bytes::from(text))
    };
    let pieces = batches.map(move |batch| batch.and_then(text));
    streamed("application/jsonl", pieces)
}

/// A batch of CloudEvents: a JSON array, with an event a line.
fn events(batches: impl Stream<Item = Batch> + Send + 'static) -> Response {
    let mut separator = "\n";
    let pieces = batches.map(move |batch| {
        let mut text = String::new();
        for entry in batch? {
            text += std::mem::replace(&mut separator, ",\n");
            let time = DateTime::<Utc>::from_timestamp_millis(entry.time_ms).unwrap_or_default();
            let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
            let event = wire::AuditEvent::of(entry, time);
            text += &serde_json::to_string(&event).map_err(Error::internal)?;
        }
        Ok(Bytes::from(text))
    });
    let edge = |text: &'static str| once(ready(Ok(Bytes::from_static(text.as_bytes()))));
    streamed("application/cloudevents-batch+json", edge("[").chain(pieces).chain(edge("\n]\n")))
}

/// A failure on the way cuts the answer off, so that nobody takes a part for the whole.
fn streamed(
    media_type: &'static str,
    pieces: impl Stream<Item = Result<Bytes>> + Send + 'static,
) -> Response {
    let pieces =
        pieces.inspect_err(|error| tracing::warn!(%error, "an export of the audit log ends"));
    ([(CONTENT_TYPE, media_type)], Body::from_stream(pieces)).into_response()
}
