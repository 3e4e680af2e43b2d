//! Sources of functions, by their digest.

use dispatch_model::resource::now_ms;

use crate::database::{read, write};
use crate::{Result, Store};

impl Store {
    /// Stores bytes under their digest (`sha256:<hex>`); a repeat renews their time.
    pub async fn blob_put(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query(
                "INSERT INTO blob (digest, bytes, created_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (digest) DO UPDATE SET created_ms = excluded.created_ms",
            )
            .bind(digest)
            .bind(bytes)
            .bind(now_ms())
            .execute(tx)
            .await?;
        });
        Ok(())
    }

    pub async fn blob_get(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> = read!(self, |pool| {
            sqlx::query_as("SELECT bytes FROM blob WHERE digest = $1")
                .bind(digest)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(bytes,)| bytes))
    }

    /// Deletes blobs that no function names and that are older than
    /// [`Options::unused_blob_ms`](crate::Options::unused_blob_ms).
    pub async fn blob_collect(&self) -> Result<u64> {
        let gone = write!(&self.0.database, |tx| {
            sqlx::query(
                "DELETE FROM blob WHERE created_ms <= $1 AND NOT EXISTS (\
                 SELECT 1 FROM resource_label l WHERE l.label = 'blob' AND l.value = blob.digest)",
            )
            .bind(now_ms() - self.0.unused_blob_ms)
            .execute(tx)
            .await?
            .rows_affected()
        });
        Ok(gone)
    }
}
