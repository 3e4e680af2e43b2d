//! What registries and the way to them get wrong, in an operator's words.

use oci_client::errors::OciDistributionError as Oci;
use reqwest::StatusCode;

use super::Reference;
use crate::Error;

/// An error of the transport.
pub fn transport(reference: &Reference, error: &reqwest::Error) -> Error {
    let host = reference.host();
    let text = match error {
        e if e.is_connect() => format!("registry {host} cannot be reached: {}", root(e)),
        e if e.is_timeout() => format!("registry {host} sent nothing for too long"),
        e if e.is_redirect() => return Error::refused(format!("registry {host} {}", root(e))),
        e => format!("registry {host}: the transfer broke off: {}", root(e)),
    };
    Error::Unavailable(text)
}

/// The innermost cause, which says most.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An answer that is no success.
pub fn status(reference: &Reference, status: StatusCode) -> Error {
    let host = reference.host();
    match status {
        StatusCode::NOT_FOUND => {
            Error::refused(format!("registry {host} has no {reference} (404)"))
        }
        StatusCode::UNAUTHORIZED => Error::refused(format!(
            "registry {host} does not let us in to {reference} (401): name a secret with `username` \
             and `password`, or `token`"
        )),
        StatusCode::FORBIDDEN => {
            Error::refused(format!("registry {host} does not allow {reference} (403)"))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Error::Unavailable(format!("registry {host} answers {status}"))
        }
        status => Error::refused(format!("registry {host} answers {status} to {reference}")),
    }
}

/// An error of the library.
pub fn library(reference: &Reference, error: Oci) -> Error {
    let host = reference.host();
    match error {
        Oci::RequestError(error) => transport(reference, &error),
        Oci::AuthenticationFailure(_) | Oci::UnauthorizedError { .. } => {
            status(reference, StatusCode::UNAUTHORIZED)
        }
        Oci::ImageManifestNotFoundError(_) => status(reference, StatusCode::NOT_FOUND),
        Oci::ServerError { code, .. } => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            status(reference, code)
        }
        error => Error::Unavailable(format!("registry {host}: {error}")),
    }
}
