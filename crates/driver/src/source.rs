//! Where an engine reads a function's source from, when it does not have it yet.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// Reads stored sources by digest. The server gives one to every engine it builds.
#[async_trait]
pub trait SourceStore: Send + Sync + 'static {
    /// The bytes as they were uploaded: a tar.gz archive or one file.
    ///
    /// # Errors
    /// `Fault::Ours` when the store cannot be read or does not hold the digest.
    async fn read(&self, digest: &str) -> Result<Bytes>;
}
