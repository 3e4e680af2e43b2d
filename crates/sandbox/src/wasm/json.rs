//! Answers must be JSON.

use dispatch_model::{InvocationError, RawJson};

use super::failure::function_error;

/// Takes an answer that is one JSON value of at most `max` bytes.
pub fn accept(answer: String, max: usize) -> Result<RawJson, InvocationError> {
    if answer.len() > max {
        return Err(too_large(max));
    }
    RawJson::parse(answer.into())
        .map_err(|error| function_error(format!("the output is not valid JSON: {error}")))
}

pub fn too_large(max: usize) -> InvocationError {
    function_error(format!("the output is larger than the {max} bytes allowed"))
}
