//! The requests the Vault takes.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::LOCATION;
use hyper::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};

use super::kept::Kept;
use super::{ACCOUNT, MOUNT, Mode, ROLE, ROLE_ID, SECRET_ID, State};

pub async fn answer(
    state: &State,
    node: usize,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path().trim_start_matches("/v1/").to_owned();
    if let Some(answer) = by_mode(state, state.mode(node), &parts, &path).await {
        return answer;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut kept = state.kept();
    let header = |name: &str| text(&parts.headers, name);
    if header("x-vault-namespace") != kept.namespace {
        return refused(404, "no handler for route");
    }
    let token = header("x-vault-token");
    match (&parts.method, path.as_str()) {
        (&Method::POST, "auth/approle/login") => {
            let good = body["role_id"] == ROLE_ID && body["secret_id"] == SECRET_ID;
            login(state, &mut kept, good, (400, "invalid role or secret ID"))
        }
        (&Method::POST, "auth/kubernetes/login") => {
            let good = body["role"] == ROLE && body["jwt"] == ACCOUNT;
            login(state, &mut kept, good, (403, "permission denied"))
        }
        (&Method::GET, "auth/token/lookup-self") => match kept.left(token) {
            Some(ttl) => json(200, &json!({"data": {"ttl": ttl, "renewable": ttl > 0}})),
            None => refused(403, "permission denied"),
        },
        (&Method::POST, "auth/token/renew-self") => {
            state.asked.renewals.fetch_add(1, Ordering::Relaxed);
            match kept.renew(token) {
                Some(life) => authenticated(token, life),
                None => refused(403, "permission denied"),
            }
        }
        (&Method::GET, path) => {
            let Some(path) = path.strip_prefix(MOUNT).and_then(|rest| rest.strip_prefix("/data/"))
            else {
                return refused(404, "no handler for route");
            };
            state.asked.reads.fetch_add(1, Ordering::Relaxed);
            if kept.denied || kept.left(token).is_none() {
                return refused(403, "1 error occurred:\n\t* permission denied\n\n");
            }
            let query = parts.uri.query().unwrap_or_default();
            let version = query.strip_prefix("version=").and_then(|text| text.parse().ok());
            let (status, body) = kept.read(path, version);
            json(status, &body)
        }
        _ => refused(405, "unsupported operation"),
    }
}

/// What a node answers that does not serve secrets now, and of its health.
async fn by_mode(
    state: &State,
    mode: Mode,
    parts: &Parts,
    path: &str,
) -> Option<Response<Full<Bytes>>> {
    if path == "sys/health" {
        let status = match mode {
            Mode::Active => 200,
            Mode::Standby { .. } => 429,
            Mode::Status(status) => status,
            Mode::Sealed | Mode::Silent => 503,
        };
        let (sealed, standby) = (status == 503, status != 200);
        let body = json!({"initialized": true, "sealed": sealed, "standby": standby});
        return Some(json(status, &body));
    }
    match mode {
        Mode::Active => None,
        Mode::Standby { active } => {
            let to = state.addresses()[active];
            let mut answer = json(307, &Value::Null);
            let location = format!("http://{to}{}", parts.uri);
            answer.headers_mut().insert(LOCATION, location.parse().expect("it is a header"));
            Some(answer)
        }
        Mode::Status(status) => Some(refused(status, "this node does not serve that")),
        Mode::Sealed => Some(refused(503, "Vault is sealed")),
        Mode::Silent => std::future::pending().await,
    }
}

fn login(
    state: &State,
    kept: &mut Kept,
    good: bool,
    (status, words): (u16, &str),
) -> Response<Full<Bytes>> {
    state.asked.logins.fetch_add(1, Ordering::Relaxed);
    if !good {
        return refused(status, words);
    }
    let life = kept.login_life;
    let token = kept.token(life);
    authenticated(&token, life.as_secs())
}

fn authenticated(token: &str, seconds: u64) -> Response<Full<Bytes>> {
    json(
        200,
        &json!({"auth": {"client_token": token, "lease_duration": seconds,
        "renewable": true, "policies": ["default", "dispatch"], "token_type": "service"}}),
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refused(status: u16, words: &str) -> Response<Full<Bytes>> {
    json(status, &json!({"errors": [words]}))
}

fn json(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status.try_into().expect("a status");
    answer
}
