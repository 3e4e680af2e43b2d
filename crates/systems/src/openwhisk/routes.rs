//! OpenWhisk's REST API.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::action::Action;
use super::activation::Status;
use super::{KEY, MAX_BYTES, System};

const BASE: &str = "/api/v1/namespaces";

type Answer = (u16, Value);

pub async fn answer(
    system: Arc<System>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = answered(system, request).await;
    let response = Response::builder().status(status).header("content-type", "application/json");
    let body = Full::from(body.to_string());
    Ok(response.body(body).expect("its parts are right"))
}

async fn answered(system: Arc<System>, request: Request<Incoming>) -> Answer {
    if !knows(&request) {
        return error(401, "The supplied authentication is invalid.");
    }
    let (method, uri) = (request.method().to_string(), request.uri().clone());
    let query: HashMap<String, String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let Ok(body) = request.into_body().collect().await else {
        return error(400, "The request content was malformed.");
    };
    let body = body.to_bytes();
    if body.len() > MAX_BYTES {
        let text = format!("Request larger than allowed: {} > {MAX_BYTES} bytes.", body.len());
        return error(413, &text);
    }
    let Some(path) = uri.path().strip_prefix(BASE) else { return absent() };
    let words: Vec<&str> = path.split('/').skip(1).collect();
    match (&*method, &words[..]) {
        ("GET", []) => (200, json!(["guest"])),
        (_, ["_" | "guest", "actions", name]) => match &*method {
            "PUT" => put(&system, name, &body).await,
            "GET" => get(&system, name),
            "DELETE" => delete(&system, name).await,
            "POST" => invoke(system, name, &body, &query).await,
            _ => error(405, "HTTP method not allowed."),
        },
        ("GET", ["_" | "guest", "activations"]) => list(&system, &query),
        ("GET", ["_" | "guest", "activations", id]) => activation(&system, id),
        ("GET", ["_" | "guest", "activations", id, "logs"]) => match activation(&system, id) {
            (200, record) => (200, json!({"logs": record["logs"]})),
            other => other,
        },
        _ => absent(),
    }
}

fn knows(request: &Request<Incoming>) -> bool {
    let key = base64::engine::general_purpose::STANDARD.encode(KEY);
    request.headers().get("authorization").is_some_and(|given| *given == format!("Basic {key}"))
}

fn error(status: u16, text: &str) -> Answer {
    (status, json!({"error": text, "code": "0123456789abcdef"}))
}

fn absent() -> Answer {
    error(404, "The requested resource does not exist.")
}

async fn put(system: &System, name: &str, body: &Bytes) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return error(400, "The request content was malformed.");
    };
    let action = match Action::new(name, body) {
        Ok(action) => Arc::new(action),
        Err(why) => return error(400, &format!("The request content was malformed:\n{why}")),
    };
    let shown = shown(&action);
    let old = system.state().actions.insert(name.to_owned(), action);
    if let Some(old) = old {
        old.retire(system).await;
    }
    (200, shown)
}

fn get(system: &System, name: &str) -> Answer {
    system.state().actions.get(name).map_or_else(absent, |action| (200, shown(action)))
}

async fn delete(system: &System, name: &str) -> Answer {
    let removed = system.state().actions.remove(name);
    let Some(action) = removed else { return absent() };
    action.retire(system).await;
    (200, shown(&action))
}

fn shown(action: &Action) -> Value {
    let mut shown = action.body.clone();
    shown["name"] = json!(action.name);
    shown["namespace"] = json!("guest");
    shown["version"] = json!("0.0.1");
    shown
}

async fn invoke(
    system: Arc<System>,
    name: &str,
    body: &Bytes,
    query: &HashMap<String, String>,
) -> Answer {
    let parameters = match &body[..] {
        b"" => json!({}),
        body => match serde_json::from_slice::<Value>(body) {
            Ok(parameters) if parameters.is_object() => parameters,
            _ => return error(400, "The request content was malformed."),
        },
    };
    let action = {
        let mut state = system.state();
        let Some(action) = state.actions.get(name).cloned() else { return absent() };
        if state.throttled > 0 {
            state.throttled -= 1;
            return error(429, "Too many concurrent requests in flight (count: 31, allowed: 30).");
        }
        action
    };
    let id = uuid::Uuid::new_v4().simple().to_string();
    let (ours, wait) = (id.clone(), system.wait);
    // Goes on when the client leaves.
    let running = tokio::spawn(async move {
        let record = action.run(&system, parameters, &ours).await;
        let status = record.status();
        let shown = record.shown(&ours);
        system.state().activations.push((ours, record));
        (if status == Status::Success { 200 } else { 502 }, shown)
    });
    let blocking = query.get("blocking").is_some_and(|value| value == "true");
    let accepted = (202, json!({"activationId": id}));
    if !blocking {
        return accepted;
    }
    match tokio::time::timeout(wait, running).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => error(500, "There was an internal server error."),
        Err(_) => accepted,
    }
}

fn activation(system: &System, id: &str) -> Answer {
    let state = system.state();
    let found = state.activations.iter().find(|(known, _)| known == id);
    found.map_or_else(absent, |(id, record)| (200, record.shown(id)))
}

/// The newest first.
fn list(system: &System, query: &HashMap<String, String>) -> Answer {
    let state = system.state();
    let all = state.activations.iter().rev();
    let named = all.filter(|(_, record)| query.get("name").is_none_or(|n| *n == record.name));
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(30);
    (200, named.take(limit).map(|(id, record)| record.shown(id)).collect())
}
