//! Errors of use cases as answers.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch_model::code;
use dispatch_wire::ErrorBody;

use super::refused::Refusal;
use crate::app::Error;

/// What a handler answers.
pub type ApiResult<T> = std::result::Result<T, Failure>;

/// An error on its way to a client. The request id is added by the `request_id` layer.
#[derive(Debug)]
pub struct Failure(pub Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
        Error::Forbidden { .. } | Error::Beyond { .. } => StatusCode::FORBIDDEN,
        Error::NotFound { .. }
        | Error::RunNotFound(_)
        | Error::NoEngineType { .. }
        | Error::NotReady { .. } => StatusCode::NOT_FOUND,
        Error::Exists { .. } | Error::InUse { .. } | Error::Conflict { .. } => StatusCode::CONFLICT,
        Error::Stale { .. } => StatusCode::PRECONDITION_FAILED,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Quota(_) | Error::Busy(_) | Error::Attempts { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Identity { code, .. } => match *code {
            code::IDENTITY001 | code::IDENTITY005 | code::IDENTITY009 => StatusCode::UNAUTHORIZED,
            code::IDENTITY006 => StatusCode::FORBIDDEN,
            code::IDENTITY008 => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        },
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body of an error that has a status but is not of a use case.
pub fn plain(status: StatusCode, error_code: &str, message: impl Into<String>) -> Response {
    let body = ErrorBody {
        code: status.as_u16(),
        message: message.into(),
        error_code: Some(error_code.to_owned()),
        hint: code::find(error_code).map(|c| c.fix.to_owned()),
        ..ErrorBody::default()
    };
    (status, Json(body)).into_response()
}

impl Failure {
    pub fn status_of(error: &Error) -> u16 {
        status(error).as_u16()
    }

    /// What the client reads.
    pub fn body(&self) -> ErrorBody {
        let error = &self.0;
        let field = match error {
            Error::Invalid(violation) => Some(violation.field.clone()),
            _ => None,
        };
        ErrorBody {
            code: status(error).as_u16(),
            message: error.to_string(),
            error_code: Some(error.code().to_owned()),
            field,
            hint: code::find(error.code()).map(|c| c.fix.to_owned()),
            request_id: None,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = &self.0;
        if let Error::Internal(cause) = error {
            tracing::error!(error = format!("{cause:#}"), "a request failed");
        }
        let mut response = (status(error), Json(self.body())).into_response();
        if let Some(refusal) = Refusal::of(error) {
            response.extensions_mut().insert(refusal);
        }
        if let Some(seconds) = error.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
