//! Errors of the store as use cases see them.

use dispatch_store::Error as StoreError;

use crate::app::Error;

/// An error of the store where nothing is known about a name or a revision.
pub fn stored(error: StoreError) -> Error {
    match error {
        StoreError::Invalid(violation) => Error::Invalid(violation),
        StoreError::Full | StoreError::Unavailable(_) => Error::Unavailable(error.to_string()),
        other => Error::internal(other),
    }
}
