//! What a run becomes as an HTTP response, and the gateway's own answers.

use bytes::Bytes;
use dispatch_model::{InvocationErrorType, Run};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::app::Error;

/// The header that names the run.
const RUN_ID: HeaderName = HeaderName::from_static("x-dispatch-run-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A finished run: its output as it is, or its error.
pub fn of_run(run: &Run) -> Response<Full<Bytes>> {
    let mut response = match (&run.error, &run.output) {
        (Some(error), _) => {
            let status = match error.kind {
                InvocationErrorType::InputError => StatusCode::UNPROCESSABLE_ENTITY,
                InvocationErrorType::FunctionError => StatusCode::BAD_GATEWAY,
                InvocationErrorType::SystemError => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let body = json!({"message": error.message, "type": error.kind.as_str()});
            with_body(status, body.to_string().into())
        }
        (None, Some(output)) if !matches!(output.get(), "null" | "\"\"") => {
            with_body(StatusCode::OK, output.bytes())
        }
        (None, _) => Response::new(Full::default()),
    };
    name_run(&mut response, run);
    response
}

/// A run that was accepted and will be executed: no body, as in v1.
pub fn accepted(run: &Run) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    name_run(&mut response, run);
    response
}

/// An answer of the gateway itself.
pub fn message(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    with_body(status, json!({"message": text}).to_string().into())
}

/// A run that could not be had.
pub fn of_error(error: &Error) -> Response<Full<Bytes>> {
    let status = match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::NotFound { .. } | Error::NotReady { .. } => StatusCode::NOT_FOUND,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Quota(_) | Error::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({"message": error.to_string(), "errorCode": error.code()});
    let mut response = with_body(status, body.to_string().into());
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn with_body(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn name_run(response: &mut Response<Full<Bytes>>, run: &Run) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id = run.id.hyphenated().encode_lower(&mut buffer);
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(RUN_ID, value);
    }
}
