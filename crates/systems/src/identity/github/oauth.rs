//! <https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Form, Query, State};
use axum::response::Redirect;
use axum::{Json, http::StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{CLIENT, Code, Device, INTERVAL_S, SECRET, State as All, random};

type Fields = HashMap<String, String>;

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}

/// Whoever `login` names is signed in there and agrees; `nobody` does not.
pub async fn authorize(
    State(all): State<Arc<All>>,
    Query(query): Query<Fields>,
) -> Result<Redirect, StatusCode> {
    let mut back =
        Url::parse(field(&query, "redirect_uri")).map_err(|_| StatusCode::BAD_REQUEST)?;
    if field(&query, "client_id") != CLIENT {
        return Err(StatusCode::NOT_FOUND);
    }
    let login = field(&query, "login").to_owned();
    if login == "nobody" {
        let mut pairs = back.query_pairs_mut();
        pairs.append_pair("error", "access_denied");
        pairs.append_pair("error_description", "The user has denied your application access.");
        pairs.append_pair("state", field(&query, "state"));
        drop(pairs);
        return Ok(Redirect::to(back.as_str()));
    }
    let code = random();
    let kept = Code {
        login,
        scope: field(&query, "scope").to_owned(),
        redirect_uri: field(&query, "redirect_uri").to_owned(),
        challenge: field(&query, "code_challenge").to_owned(),
    };
    all.given().codes.insert(code.clone(), kept);
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", field(&query, "state"));
    Ok(Redirect::to(back.as_str()))
}

fn error(name: &str) -> Json<Value> {
    Json(json!({"error": name, "error_description": "In the words of GitHub.",
        "error_uri": "https://docs.github.com/"}))
}

/// Refusals come with 200.
pub async fn token(State(all): State<Arc<All>>, Form(form): Form<Fields>) -> Json<Value> {
    if field(&form, "client_id") != CLIENT {
        return error("incorrect_client_credentials");
    }
    match field(&form, "grant_type") {
        "urn:ietf:params:oauth:grant-type:device_code" => device_token(&all, &form),
        _ if field(&form, "client_secret") != SECRET => error("incorrect_client_credentials"),
        "refresh_token" => {
            let login = all.given().refresh_tokens.remove(field(&form, "refresh_token"));
            login.map_or_else(|| error("bad_refresh_token"), |login| expiring(&all, &login))
        }
        _ => code_token(&all, &form),
    }
}

fn code_token(all: &All, form: &Fields) -> Json<Value> {
    let Some(code) = all.given().codes.remove(field(form, "code")) else {
        return error("bad_verification_code");
    };
    let verifier = Sha256::digest(field(form, "code_verifier"));
    if URL_SAFE_NO_PAD.encode(verifier) != code.challenge {
        return error("bad_verification_code");
    }
    if field(form, "redirect_uri") != code.redirect_uri {
        return error("redirect_uri_mismatch");
    }
    match code.login.as_str() {
        // As an app whose tokens expire.
        "expiring" => expiring(all, &code.login),
        login => lasting(all, login, &code.scope),
    }
}

fn lasting(all: &All, login: &str, scope: &str) -> Json<Value> {
    let token = format!("gho_{}", random());
    all.given().tokens.insert(token.clone(), (login.to_owned(), scope.replace(' ', ",")));
    Json(json!({"access_token": token, "scope": scope.replace(' ', ","), "token_type": "bearer"}))
}

fn expiring(all: &All, login: &str) -> Json<Value> {
    let (token, refresh) = (format!("ghu_{}", random()), format!("ghr_{}", random()));
    let mut given = all.given();
    given.tokens.insert(token.clone(), (login.to_owned(), "read:org".to_owned()));
    given.refresh_tokens.insert(refresh.clone(), login.to_owned());
    Json(json!({"access_token": token, "expires_in": 28800, "refresh_token": refresh,
        "refresh_token_expires_in": 15811200, "scope": "", "token_type": "bearer"}))
}

pub async fn device(State(all): State<Arc<All>>, Form(form): Form<Fields>) -> Json<Value> {
    if field(&form, "client_id") != CLIENT {
        return error("incorrect_client_credentials");
    }
    let (device_code, user_code) = (random(), random()[..8].to_uppercase());
    let scope = field(&form, "scope").to_owned();
    let device = Device { user_code: user_code.clone(), scope, login: None, polled: None };
    all.given().devices.insert(device_code.clone(), device);
    Json(json!({"device_code": device_code, "user_code": user_code, "expires_in": 900,
        "verification_uri": format!("{}/login/device", all.base), "interval": INTERVAL_S}))
}

fn device_token(all: &All, form: &Fields) -> Json<Value> {
    let device_code = field(form, "device_code");
    let (login, scope) = {
        let mut given = all.given();
        let Some(device) = given.devices.get_mut(device_code) else {
            return error("incorrect_device_code");
        };
        let before = device.polled.replace(Instant::now());
        if before.is_some_and(|at| at.elapsed() < Duration::from_secs(INTERVAL_S)) {
            return error("slow_down");
        }
        let Some(login) = device.login.clone() else {
            return error("authorization_pending");
        };
        let scope = device.scope.clone();
        given.devices.remove(device_code);
        (login, scope)
    };
    match login.as_str() {
        "nobody" => error("access_denied"),
        login => lasting(all, login, &scope),
    }
}
