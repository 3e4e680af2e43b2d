//! What registries and the way to them get wrong, in an operator's words.

use oci_client::errors::OciDistributionError as Oci;
use reqwest::StatusCode;
use serde::Deserialize;

use super::Reference;
use super::session::read;
use crate::Error;

/// Bytes of an answer that says what is wrong.
const MAX_WORDS: u64 = 16 << 10;
/// Characters of it that are passed on.
const MAX_LINE: usize = 300;

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

/// What a registry says beside the status (distribution-spec, "Error Codes").
#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    errors: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    code: String,
    #[serde(default)]
    message: String,
}

impl Words {
    /// What it does not know now it may know when it is sent again: uploads at the same time get
    /// into each other's way.
    fn is_passing(&self) -> bool {
        let unknown = |word: &Word| matches!(&*word.code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN");
        self.errors.iter().any(unknown)
    }

    /// In a line, and not longer than one.
    fn line(&self) -> String {
        let words = self.errors.iter().map(|word| format!("{} {}", word.code, word.message));
        let line = words.collect::<Vec<_>>().join("; ");
        line.chars().filter(|c| !c.is_control()).take(MAX_LINE).collect()
    }
}

/// An answer that is no success, with the registry's own words.
pub async fn answer(reference: &Reference, response: reqwest::Response) -> Error {
    let status = response.status();
    let bytes = read(reference, response, MAX_WORDS).await.unwrap_or_default();
    let words: Words = serde_json::from_slice(&bytes).unwrap_or_default();
    said(reference, status, &words)
}

/// An answer of which only the status is known.
pub fn status(reference: &Reference, status: StatusCode) -> Error {
    said(reference, status, &Words::default())
}

fn said(reference: &Reference, status: StatusCode, words: &Words) -> Error {
    let host = reference.host();
    let line = match words.line() {
        line if line.is_empty() => line,
        line => format!(": {line}"),
    };
    match status {
        StatusCode::BAD_REQUEST if words.is_passing() => {
            Error::Unavailable(format!("registry {host} answers {status}{line}"))
        }
        StatusCode::NOT_FOUND => {
            Error::refused(format!("registry {host} has no {reference} (404){line}"))
        }
        StatusCode::UNAUTHORIZED => Error::refused(format!(
            "registry {host} does not let us in to {reference} (401): name a secret with `username` \
             and `password`, or `token`"
        )),
        StatusCode::FORBIDDEN => {
            Error::refused(format!("registry {host} does not allow {reference} (403){line}"))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Error::Unavailable(format!("registry {host} answers {status}{line}"))
        }
        status => Error::refused(format!("registry {host} answers {status} to {reference}{line}")),
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
        Oci::ServerError { code, message, .. } => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            said(reference, code, &serde_json::from_str(&message).unwrap_or_default())
        }
        error => Error::Unavailable(format!("registry {host}: {error}")),
    }
}
