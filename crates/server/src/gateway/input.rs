//! A request's body or query as the input of a function, by v1's rules.

use bytes::Bytes;
use dispatch_model::RawJson;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::invoke::json;

/// Why a request has no input: the status and the message, as v1 words it.
pub type Refusal = (StatusCode, String);

/// The input of a request with this body.
pub fn input(parts: &Parts, body: &Bytes) -> Result<RawJson, Refusal> {
    if matches!(parts.method, Method::GET | Method::OPTIONS | Method::HEAD) {
        return object_of(parts.uri.query().unwrap_or_default().as_bytes());
    }
    let Some(content_type) = parts.headers.get(CONTENT_TYPE) else {
        return without_type(body);
    };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return json::raw(body.clone()).map_err(|_| bad("request body is not json"));
    }
    match essence.as_str() {
        "application/x-www-form-urlencoded" => object_of(body),
        "" => without_type(body),
        _ => {
            let text = format!("request body type is not supported: {essence}");
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
    }
}

/// No content type: nothing is an empty object, something is a string.
fn without_type(body: &Bytes) -> Result<RawJson, Refusal> {
    if body.is_empty() {
        return object_of(b"");
    }
    let text = std::str::from_utf8(body).map_err(|_| bad("request body is not text"))?;
    RawJson::of(text).map_err(|_| bad("request body is not text"))
}

/// Pairs as an object of strings; a name given more than once has an array of them.
fn object_of(urlencoded: &[u8]) -> Result<RawJson, Refusal> {
    if urlencoded.is_empty() {
        return Ok(RawJson::written("{}".to_owned()));
    }
    let mut object = Map::new();
    for (name, value) in url::form_urlencoded::parse(urlencoded) {
        let value = Value::String(value.into_owned());
        match object.get_mut(name.as_ref()) {
            None => {
                object.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    RawJson::of(&object).map_err(|_| bad("request body cannot be read"))
}

fn bad(message: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, message.to_owned())
}
