//! Query parameters. Unknown ones are refused, so that a misspelt filter never lists everything.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::{ListQuery, Sort, State, Tags, Violation};

use super::error::Failure;
use crate::app::{App, Deletion, Error, Precondition};

type Pairs = Vec<(String, String)>;

pub(super) fn pairs(parts: &Parts) -> Result<Pairs, Violation> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs: Pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // No database takes the character NUL.
    match pairs.iter().find(|(key, value)| format!("{key}{value}").contains('\0')) {
        Some((key, _)) => Err(Violation::new(key.replace('\0', "?"), "must not hold NUL")),
        None => Ok(pairs),
    }
}

/// A kind's own selectors: (query parameter, stored field).
pub trait Selectors {
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// What a list takes, whatever its kind. `S` names the kind's own selectors.
#[derive(Debug, Clone)]
pub struct ListParameters<S> {
    pub query: ListQuery,
    /// Whether to stay and follow changes.
    pub watch: bool,
    /// The number of the last event a watcher has seen.
    pub last_event: Option<i64>,
    /// The query without `continue`, for the link to the next page.
    pub path_and_query: String,
    selectors: std::marker::PhantomData<S>,
}

impl<S: Selectors> FromRequestParts<Arc<App>> for ListParameters<S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        let (mut query, mut watch) = (ListQuery::default(), false);
        let mut kept = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in pairs(parts)? {
            if key != "continue" {
                kept.append_pair(&key, &value);
            }
            match key.as_str() {
                "limit" => query.limit = Some(limit(&value)?),
                "continue" => query.continue_token = Some(value),
                "sort" => query.sort = Sort::parse(&value)?,
                "tags" => query.tags.push(tag(&value)?),
                "name" => query.name = Some(value),
                "state" | "status" => query.state = Some(state(&value)?),
                "watch" => watch = flag("watch", &value)?,
                other => query.spec.push((field::<S>(other)?, value)),
            }
        }
        let last_event = parts.headers.get("last-event-id").map(|v| v.to_str().unwrap_or(""));
        let last_event = last_event.and_then(|text| text.parse().ok());
        let path_and_query = format!("{}?{}", parts.uri.path(), kept.finish());
        let selectors = std::marker::PhantomData;
        Ok(Self { query, watch, last_event, path_and_query, selectors })
    }
}

fn field<S: Selectors>(parameter: &str) -> Result<String, Violation> {
    if let Some((_, field)) = S::FIELDS.iter().find(|(name, _)| *name == parameter) {
        return Ok((*field).to_owned());
    }
    let own = S::FIELDS.iter().map(|(name, _)| *name);
    let all =
        ["limit", "continue", "sort", "tags", "name", "state", "watch"].into_iter().chain(own);
    let known: Vec<_> = all.collect();
    Err(Violation::new(parameter, format!("is no parameter of this list: {}", known.join(", "))))
}

pub(super) fn limit(text: &str) -> Result<u32, Violation> {
    let number = text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
    number.ok_or_else(|| Violation::new("limit", format!("must be a number, 1 to {MAX_LIMIT}")))
}

fn number(name: &str, text: &str) -> Result<u64, Violation> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Violation::new(name, format!("{text:?} is no number from 1")))
}

fn state(text: &str) -> Result<State, Violation> {
    State::parse(&text.to_uppercase()).ok_or_else(|| {
        let all: Vec<_> = State::ALL.iter().map(|s| s.as_str()).collect();
        Violation::new("state", format!("{text:?} is none of {}", all.join(", ")))
    })
}

pub(super) fn tag(text: &str) -> Result<(String, String), Violation> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| Violation::new("tags", format!("{text:?} must have the form key=value")))
}

pub(super) fn flag(name: &str, text: &str) -> Result<bool, Violation> {
    match text {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Violation::new(name, format!("{text:?} must be true or false"))),
    }
}

/// What a request for one thing may say beside its name.
#[derive(Debug, Clone, Default)]
pub struct One {
    /// Tags the thing must have, or it is not there.
    pub tags: Vec<(String, String)>,
    pub precondition: Precondition,
    /// Revision the client has: it need not be sent again.
    pub known: Option<i64>,
    pub protect: bool,
    pub keep_runs: bool,
    pub force: bool,
    /// Of a secret.
    pub version: Option<u64>,
    /// Whether a secret's values are read that are kept elsewhere.
    pub read: bool,
    /// Of an organization: with all that is in it.
    pub all: bool,
}

impl One {
    pub fn deletion(&self) -> Deletion {
        let Self { precondition, protect, keep_runs, force, all, .. } = *self;
        Deletion { precondition, protect, keep_runs, force, all }
    }

    /// Whether a thing with these tags is meant.
    pub fn selects(&self, tags: &Tags) -> bool {
        self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}

impl FromRequestParts<Arc<App>> for One {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        let mut one = One { precondition: if_match(&parts.headers)?, ..One::default() };
        one.known = revision(&parts.headers, header::IF_NONE_MATCH);
        for (key, value) in pairs(parts)? {
            match key.as_str() {
                "tags" => one.tags.push(tag(&value)?),
                "protect" => one.protect = flag("protect", &value)?,
                "keepRuns" => one.keep_runs = flag("keepRuns", &value)?,
                "force" => one.force = flag("force", &value)?,
                "version" => one.version = Some(number("version", &value)?),
                "read" => one.read = flag("read", &value)?,
                "all" => one.all = flag("all", &value)?,
                other => {
                    let rule = "is no parameter of this request: tags, protect, keepRuns, force, \
                                version, read, all";
                    return Err(Violation::new(other, rule).into());
                }
            }
        }
        Ok(one)
    }
}

fn if_match(headers: &HeaderMap) -> Result<Precondition, Error> {
    match headers.get(header::IF_MATCH) {
        None => Ok(Precondition::None),
        Some(value) if value == "*" => Ok(Precondition::None),
        Some(_) => {
            revision(headers, header::IF_MATCH).map(Precondition::Revision).ok_or_else(|| {
                Violation::new("If-Match", "must be the ETag of an earlier answer, like \"7\"")
                    .into()
            })
        }
    }
}

fn revision(headers: &HeaderMap, name: header::HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"').parse().ok()
}

/// Parameters as a type of their own: unknown ones and wrong values are refused.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromRequestParts<Arc<App>> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        pairs(parts)?;
        let parsed = axum::extract::Query::<T>::from_request_parts(parts, app).await;
        match parsed {
            Ok(axum::extract::Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Violation::new("query", rejection.body_text()).into()),
        }
    }
}
