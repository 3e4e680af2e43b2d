//! Failures of functions and of the engine, in their words.

use dispatch_driver::{Error, Retry};
use dispatch_model::{InvocationError, InvocationErrorType, code};
use serde::Deserialize;

/// What a host says about an error of the handler.
#[derive(Deserialize)]
struct Report {
    message: String,
    #[serde(default)]
    stacktrace: Vec<String>,
}

/// A host's report; what cannot be read as one is shown as it is.
pub fn reported(body: &[u8]) -> InvocationError {
    match serde_json::from_slice::<Report>(body) {
        Ok(report) => InvocationError { stacktrace: report.stacktrace, ..function(report.message) },
        Err(_) => function(String::from_utf8_lossy(body)),
    }
}

pub fn function(message: impl Into<String>) -> InvocationError {
    let kind = InvocationErrorType::FunctionError;
    InvocationError { kind, message: message.into(), stacktrace: Vec::new() }
}

/// The engine could not do its part.
pub fn engine(what: &str, error: impl std::fmt::Display) -> Error {
    Error::backend(code::ENGINE006, Retry::Now, format!("{what}: {error}"))
}

/// A handler that does not load, for the author of the function.
pub fn not_loaded(error: &InvocationError) -> Error {
    let mut text = error.message.clone();
    for line in &error.stacktrace {
        text.push('\n');
        text.push_str(line);
    }
    Error::caller(code::ENGINE003, text)
}
