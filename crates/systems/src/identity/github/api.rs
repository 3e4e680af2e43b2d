//! <https://docs.github.com/rest>: what belongs to the owner of a token.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, LINK};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Person, State as All};

type Answer = Result<Response, Refusal>;

/// Why nothing is told.
pub enum Refusal {
    Unknown,
    Scope,
    /// Enough for now.
    Limited,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Refusal::Unknown => (StatusCode::UNAUTHORIZED, "Bad credentials"),
            Refusal::Scope => (StatusCode::FORBIDDEN, "Resource not accessible"),
            Refusal::Limited => (StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1."),
        };
        let mut answer = (status, Json(json!({"message": message}))).into_response();
        if matches!(self, Refusal::Limited) {
            let limits = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")];
            for (name, value) in limits {
                answer.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        answer
    }
}

/// Whose token it is, if it has the scope.
fn owner(all: &All, headers: &HeaderMap, uri: &Uri, scope: &str) -> Result<Person, Refusal> {
    all.asked.lock().expect("nobody panics with it").push(uri.to_string());
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let found = all.given().tokens.get(token).cloned();
    let Some((login, scopes)) = found else {
        return Err(Refusal::Unknown);
    };
    if login == "limited" {
        return Err(Refusal::Limited);
    }
    if !scope.is_empty() && !scopes.split(',').any(|held| held == scope) {
        return Err(Refusal::Scope);
    }
    let person = all.people.iter().find(|person| person.login == login);
    person.cloned().ok_or(Refusal::Unknown)
}

pub async fn user(State(all): State<Arc<All>>, headers: HeaderMap, uri: Uri) -> Answer {
    let person = owner(&all, &headers, &uri, "")?;
    let user = json!({"login": person.login, "id": person.id, "name": null, "type": "User",
        "email": "public-and-unverified@example.org", "company": "x".repeat(100)});
    Ok(Json(user).into_response())
}

pub async fn emails(State(all): State<Arc<All>>, headers: HeaderMap, uri: Uri) -> Answer {
    let person = owner(&all, &headers, &uri, "user:email")?;
    let emails = person.emails.iter().map(|(email, primary, verified)| {
        json!({"email": email, "primary": primary, "verified": verified, "visibility": "private"})
    });
    Ok(Json(emails.collect::<Vec<_>>()).into_response())
}

pub async fn organizations(
    State(all): State<Arc<All>>,
    headers: HeaderMap,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let person = owner(&all, &headers, &uri, "read:org")?;
    let entries = person.organizations.iter();
    let entries = entries.map(|login| json!({"login": login, "id": 1})).collect();
    Ok(paged(&all, &person, &uri, &query, entries))
}

pub async fn teams(
    State(all): State<Arc<All>>,
    headers: HeaderMap,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let person = owner(&all, &headers, &uri, "read:org")?;
    let entries = person.teams.iter().map(|(organization, slug)| {
        json!({"slug": slug, "name": slug.to_uppercase(), "organization": {"login": organization}})
    });
    Ok(paged(&all, &person, &uri, &query, entries.collect()))
}

/// One page, and where the next is.
fn paged(
    all: &All,
    person: &Person,
    uri: &Uri,
    query: &HashMap<String, String>,
    entries: Vec<Value>,
) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(30).clamp(1, 100);
    let page = number("page").unwrap_or(1).max(1);
    let (begin, end) = ((page - 1) * size, page * size);
    let more = end < entries.len();
    let some: Vec<_> = entries.into_iter().skip(begin).take(size).collect();
    let mut answer = Json(some).into_response();
    // Somebody's list goes on where a token must not be sent.
    let base = if person.login == "astray" { "http://127.0.0.1:9" } else { &all.base };
    if more {
        let next = format!("<{base}{}?per_page={size}&page={}>", uri.path(), page + 1);
        let link = format!("{next}; rel=\"next\", <{base}{}>; rel=\"last\"", uri.path());
        answer.headers_mut().insert(LINK, link.parse().expect("plain"));
    }
    answer
}
