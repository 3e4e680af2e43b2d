//! Versions of secrets: the one that holds is the resource itself, those before it are kept here.

use dispatch_model::ResourceKind;
use dispatch_model::secret::SecretSpec;
use serde::Deserialize;
use uuid::Uuid;

use crate::database::read;
use crate::row::ResourceRow;
use crate::{Result, Store};

/// The number of the version a row is of, when it is of a secret that had another before.
pub(crate) fn number(kind: ResourceKind, row: &ResourceRow) -> serde_json::Result<Option<i64>> {
    #[derive(Deserialize)]
    struct Numbered {
        #[serde(default)]
        version: i64,
    }
    if kind != ResourceKind::Secret {
        return Ok(None);
    }
    let Numbered { version } = serde_json::from_str(&row.spec)?;
    Ok(Some(version).filter(|version| *version > 1))
}

/// Keeps what is stored of a secret before its next version takes its place. What is stored, not
/// what was read: it may have been resealed meanwhile.
macro_rules! keep_version {
    ($tx:ident, $id:expr, $revision:expr, $number:expr) => {
        if let Some(number) = $number {
            sqlx::query(
                "INSERT INTO secret_version (secret, number, spec) \
                 SELECT id, $1, spec FROM resource WHERE id = $2 AND revision = $3 \
                 ON CONFLICT DO NOTHING",
            )
            .bind(number - 1)
            .bind($id)
            .bind($revision)
            .execute(&mut *$tx)
            .await?;
        }
    };
}
pub(crate) use keep_version;

/// Of the versions kept so far leaves the last ones. After the secret's own row was changed: a
/// removal takes that row first, and in another order two wait for each other.
macro_rules! drop_versions {
    ($store:expr, $tx:ident, $id:expr, $number:expr) => {
        if let Some(number) = $number {
            sqlx::query("DELETE FROM secret_version WHERE secret = $1 AND number <= $2")
                .bind($id)
                .bind(number - i64::from($store.0.secret_versions.max(1)))
                .execute(&mut *$tx)
                .await?;
        }
    };
}
pub(crate) use drop_versions;

impl Store {
    /// The versions of a secret that are kept beside the one that holds, the newest first.
    pub async fn secret_versions(&self, secret: Uuid) -> Result<Vec<SecretSpec>> {
        let rows: Vec<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT spec FROM secret_version WHERE secret = $1 ORDER BY number DESC")
                .bind(secret)
                .fetch_all(pool)
                .await?
        });
        rows.into_iter().map(|(spec,)| Ok(serde_json::from_str(&spec)?)).collect()
    }

    /// One of them.
    pub async fn secret_version(&self, secret: Uuid, number: u64) -> Result<Option<SecretSpec>> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT spec FROM secret_version WHERE secret = $1 AND number = $2")
                .bind(secret)
                .bind(number)
                .fetch_optional(pool)
                .await?
        });
        row.map(|(spec,)| Ok(serde_json::from_str(&spec)?)).transpose()
    }
}
