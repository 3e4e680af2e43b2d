//! What can go wrong with content, by who can do something about it.

use std::io;

use dispatch_driver::Retry;
use dispatch_model::code;

/// An error whose text is for the one who reads a resource's `reason`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It will be so the next time too: content is damaged, not there, or breaks a rule.
    #[error("{0}")]
    Refused(String),
    /// It may be otherwise the next time: somebody does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// This machine's disk.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn refused(text: impl Into<String>) -> Self {
        Error::Refused(text.into())
    }

    /// For `map_err`: what was being done when the disk failed.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Error::Io(what.into(), error)
    }

    /// As engines tell that an image cannot be run.
    pub fn into_driver(self, digest: &str) -> dispatch_driver::Error {
        let text = format!("image {digest} cannot be run: {self}");
        match self.is_passing() {
            true => dispatch_driver::Error::backend(code::ENGINE006, Retry::Now, text),
            false => dispatch_driver::Error::ours(code::ENGINE006, text),
        }
    }

    /// Whether another try may help.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Error::Refused(_))
    }
}
