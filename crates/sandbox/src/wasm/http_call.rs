//! Calls of a component that handles HTTP.
//!
//! It gets the request the gateway got, when there was one: method, path with query and headers
//! come from the context's `httpContext`; without one the request is `POST /`. The body is the
//! payload as JSON, which is what the gateway made of the body (of the query, for GET).
//!
//! Of its response the body counts: JSON is the answer as it stands, other text becomes a JSON
//! string, an empty body `null`. A status of 500 or more is a failure of the function.

use std::collections::BTreeMap;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use dispatch_model::{InvocationError, RawJson};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::call::Answer;
use super::failure::function_error;
use super::guest::Guest;
use super::json;

/// Of a failure's body, as much as an error message can bear.
const MAX_MESSAGE_CHARS: usize = 500;
/// Keys of `httpContext` that are not headers.
const NOT_HEADERS: [&str; 9] = [
    "args",
    "request",
    "request-uri",
    "scheme",
    "server-protocol",
    "uri",
    "upstream-uri",
    "method",
    "params",
];

type Responded = std::result::Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Hands the guest one request and takes its response.
pub async fn run(
    pre: &ProxyPre<Guest>,
    store: &mut Store<Guest>,
    context: &str,
    payload: &Bytes,
) -> wasmtime::Result<Answer> {
    let max = store.data().max_payload_bytes();
    let request = request(context, payload)?;
    let (sender, receiver) = oneshot::channel();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let out = http.new_response_outparam(sender)?;
    let proxy = pre.instantiate_async(&mut *store).await?;
    let mut answer = pin!(answer(receiver, max));
    {
        let handler = proxy.wasi_http_incoming_handler();
        let mut call = pin!(handler.call_handle(&mut *store, request, out));
        // The guest writes its body while this reads it.
        tokio::select! {
            biased;
            called = &mut call => called?,
            answer = &mut answer => {
                if answer.is_ok() {
                    call.await?;
                }
                return Ok(answer);
            }
        }
    }
    // The guest has returned: what it has not set or not finished by now it never will.
    store.data_mut().drop_resources();
    Ok(answer.await)
}

async fn answer(response: oneshot::Receiver<Responded>, max: usize) -> Answer {
    let response = match response.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Err(function_error(format!("the component answered with an error: {error}")));
        }
        Err(_) => return Err(function_error("the component returned without a response")),
    };
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| function_error(format!("the response broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Err(json::too_large(max));
        }
        bytes.extend_from_slice(&data);
    }
    if head.status.is_server_error() {
        return Err(server_error(head.status, &bytes));
    }
    output(bytes.freeze(), max)
}

fn output(body: Bytes, max: usize) -> Answer {
    if body.is_empty() {
        return Ok(RawJson::written("null".to_owned()));
    }
    if let Ok(json) = RawJson::parse(body.clone()) {
        return Ok(json);
    }
    let text = std::str::from_utf8(&body)
        .map_err(|_| function_error("the response's body is neither JSON nor text"))?;
    json::accept(Value::from(text).to_string(), max)
}

fn server_error(status: http::StatusCode, body: &[u8]) -> InvocationError {
    let text: String = String::from_utf8_lossy(body).chars().take(MAX_MESSAGE_CHARS).collect();
    function_error(format!("the component answered {status}: {text}"))
}

#[derive(Deserialize)]
struct Context {
    #[serde(rename = "httpContext")]
    http: Option<BTreeMap<String, Value>>,
}

fn request(context: &str, payload: &Bytes) -> wasmtime::Result<Request<Full<Bytes>>> {
    let context: Context = serde_json::from_str(context)?;
    let http = context.http.unwrap_or_default();
    let given = |key: &str| http.get(key).and_then(Value::as_str);
    let mut headers = HeaderMap::new();
    for (key, value) in &http {
        if NOT_HEADERS.contains(&key.as_str()) {
            continue;
        }
        let Some(value) = value.as_str() else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    // They described the body as it came; this one is JSON of its own length.
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(payload.len()));
    headers.entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
    let mut request = Request::new(Full::new(payload.clone()));
    *request.method_mut() = given("method").and_then(|m| m.parse().ok()).unwrap_or(Method::POST);
    *request.uri_mut() = given("request-uri").unwrap_or("/").parse()?;
    *request.headers_mut() = headers;
    Ok(request)
}
