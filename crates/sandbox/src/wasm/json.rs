//! Answers must be JSON.

use bytes::Bytes;
use dispatch_model::InvocationError;
use serde::de::IgnoredAny;

use super::failure::function_error;

/// Takes an answer that is one JSON value of at most `max` bytes.
pub fn accept(answer: String, max: usize) -> Result<Bytes, InvocationError> {
    if answer.len() > max {
        return Err(too_large(max));
    }
    match serde_json::from_str::<IgnoredAny>(&answer) {
        Ok(_) => Ok(Bytes::from(answer.into_bytes())),
        Err(error) => Err(function_error(format!("the output is not valid JSON: {error}"))),
    }
}

pub fn too_large(max: usize) -> InvocationError {
    function_error(format!("the output is larger than the {max} bytes allowed"))
}
