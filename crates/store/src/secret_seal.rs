//! What is sealed with which root key, and its change. Only wrapped data keys are changed here: a
//! secret stays at its revision, and nobody who follows it is told.

use dispatch_model::secret::SecretSpec;
use uuid::Uuid;

use crate::database::{read, write};
use crate::{Result, Store};

/// One sealed content, and where it lies.
#[derive(Debug, Clone)]
pub struct SealedContent {
    pub spec: SecretSpec,
    at: At,
}

#[derive(Debug, Clone)]
enum At {
    /// The secret itself.
    Secret { id: Uuid, org: String, name: String, revision: i64 },
    /// A version kept beside it.
    Version { secret: Uuid, number: i64 },
}

/// How the id of a root key stands in a stored spec: first in what is sealed. Quotes within texts
/// are escaped there, and what people name keys and values of is never an object, so that nothing
/// else can look like it.
fn pattern(key: &str) -> String {
    format!("%\"sealed\":{{\"root_key_id\":\"{key}\"%")
}

impl Store {
    /// How many secrets and versions of secrets are sealed with a root key.
    pub async fn sealed_with(&self, key: &str) -> Result<u64> {
        let (count,): (i64,) = read!(self, |pool| {
            sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM resource WHERE kind = 'Secret' AND spec LIKE $1) \
                 + (SELECT COUNT(*) FROM secret_version WHERE spec LIKE $1)",
            )
            .bind(pattern(key))
            .fetch_one(pool)
            .await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How many are sealed with any other.
    pub async fn sealed_otherwise(&self, key: &str) -> Result<u64> {
        Ok(self.sealed_with("%").await?.saturating_sub(self.sealed_with(key).await?))
    }

    /// Secrets, then versions of secrets, that are sealed with another key than this, from the one
    /// after `last` on.
    pub async fn sealed_page(
        &self,
        key: &str,
        last: Option<&SealedContent>,
        limit: u32,
    ) -> Result<Vec<SealedContent>> {
        let (mut page, mut after) = (Vec::new(), (Uuid::nil(), 0));
        match last.map(|last| &last.at) {
            Some(At::Version { secret, number }) => after = (*secret, *number),
            Some(At::Secret { org, name, .. }) => {
                page = self.sealed_secrets(key, (org, name), limit).await?;
            }
            None => page = self.sealed_secrets(key, ("", ""), limit).await?,
        }
        match page.is_empty() {
            true => self.sealed_versions(key, after, limit).await,
            false => Ok(page),
        }
    }

    async fn sealed_secrets(
        &self,
        key: &str,
        (org, name): (&str, &str),
        limit: u32,
    ) -> Result<Vec<SealedContent>> {
        let rows: Vec<(Uuid, String, String, i64, String)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT id, org, name, revision, spec FROM resource WHERE kind = 'Secret' \
                 AND (org, name) > ($1, $2) AND spec LIKE $3 AND spec NOT LIKE $4 \
                 ORDER BY org, name LIMIT $5",
            )
            .bind(org)
            .bind(name)
            .bind(pattern("%"))
            .bind(pattern(key))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?
        });
        let content = |(id, org, name, revision, spec): (_, _, _, _, String)| {
            let at = At::Secret { id, org, name, revision };
            Ok(SealedContent { spec: serde_json::from_str(&spec)?, at })
        };
        rows.into_iter().map(content).collect()
    }

    async fn sealed_versions(
        &self,
        key: &str,
        (secret, number): (Uuid, i64),
        limit: u32,
    ) -> Result<Vec<SealedContent>> {
        let rows: Vec<(Uuid, i64, String)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT secret, number, spec FROM secret_version WHERE (secret, number) > ($1, $2) \
                 AND spec LIKE $3 AND spec NOT LIKE $4 ORDER BY secret, number LIMIT $5",
            )
            .bind(secret)
            .bind(number)
            .bind(pattern("%"))
            .bind(pattern(key))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?
        });
        let content = |(secret, number, spec): (_, _, String)| {
            let at = At::Version { secret, number };
            Ok(SealedContent { spec: serde_json::from_str(&spec)?, at })
        };
        rows.into_iter().map(content).collect()
    }

    /// Stores contents anew, in one transaction. Returns how many: one that was replaced or deleted
    /// meanwhile stays as it is.
    pub async fn reseal(&self, contents: &[SealedContent]) -> Result<u64> {
        let texts = contents.iter().map(|content| serde_json::to_string(&content.spec));
        let texts: Vec<String> = texts.collect::<serde_json::Result<_>>()?;
        Ok(write!(&self.0.database, |tx| {
            let mut changed = 0;
            for (content, text) in contents.iter().zip(&texts) {
                let update = match &content.at {
                    At::Secret { id, revision, .. } => {
                        sqlx::query("UPDATE resource SET spec = $1 WHERE id = $2 AND revision = $3")
                            .bind(text)
                            .bind(id)
                            .bind(revision)
                    }
                    At::Version { secret, number } => sqlx::query(
                        "UPDATE secret_version SET spec = $1 WHERE secret = $2 AND number = $3",
                    )
                    .bind(text)
                    .bind(secret)
                    .bind(number),
                };
                changed += update.execute(&mut *tx).await?.rows_affected();
            }
            changed
        }))
    }
}
