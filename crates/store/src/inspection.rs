//! What is kept for the inspection of images: the imported vulnerability database, signatures that
//! registries list, and since when rules with a grace period are broken.

use dispatch_model::OrgName;
use dispatch_model::resource::now_ms;

use crate::audit::append;
use crate::database::{read, write};
use crate::setting::PUT;
use crate::{Result, Store, Told};

/// The setting that describes the vulnerability database that holds, as JSON.
const DATABASE: &str = "vulnerability.database";
/// How old parts of another database are before they go: somebody may be importing it.
const UNFINISHED_MS: i64 = 3_600_000;

/// A signature as a registry lists it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SignatureRow {
    pub payload: Vec<u8>,
    pub signature: String,
}

/// When something was first found to break a rule.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ViolationRow {
    pub rule: String,
    pub subject: String,
    pub since_ms: i64,
}

impl Store {
    /// What describes the vulnerability database that holds; `None` before the first import.
    pub async fn vulnerability_database(&self) -> Result<Option<String>> {
        self.setting_get(DATABASE).await
    }

    /// Stores a part of a database that is being imported.
    pub async fn vulnerability_part_put(
        &self,
        digest: &str,
        part: i64,
        bytes: &[u8],
    ) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query(
                "INSERT INTO vulnerability_part (digest, part, bytes, created_ms) \
                 VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (digest, part) DO UPDATE SET created_ms = excluded.created_ms",
            )
            .bind(digest)
            .bind(part)
            .bind(bytes)
            .bind(now_ms())
            .execute(tx)
            .await?;
        });
        Ok(())
    }

    /// Makes a database that is stored whole the one that holds; the one before goes.
    pub(crate) async fn vulnerability_database_put(
        &self,
        digest: &str,
        body: &str,
        told: &Told,
    ) -> Result<()> {
        let entry = write!(&self.0.database, |tx| {
            sqlx::query(PUT).bind(DATABASE).bind(body).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM vulnerability_part WHERE digest <> $1 AND created_ms < $2")
                .bind(digest)
                .bind(now_ms() - UNFINISHED_MS)
                .execute(&mut *tx)
                .await?;
            append!(self, tx, told)
        });
        self.audit_written(Some(entry), 1);
        Ok(())
    }

    /// A part of a database; `None` after the last one.
    pub async fn vulnerability_part(&self, digest: &str, part: i64) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> = read!(self, |pool| {
            sqlx::query_as("SELECT bytes FROM vulnerability_part WHERE digest = $1 AND part = $2")
                .bind(digest)
                .bind(part)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(bytes,)| bytes))
    }

    /// Replaces what a repository lists as signatures of an image.
    pub async fn signature_replace(
        &self,
        repository: &str,
        digest: &str,
        all: &[SignatureRow],
    ) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM signature WHERE repository = $1 AND digest = $2")
                .bind(repository)
                .bind(digest)
                .execute(&mut *tx)
                .await?;
            for row in all {
                sqlx::query(
                    "INSERT INTO signature (repository, digest, signature, payload) \
                     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                )
                .bind(repository)
                .bind(digest)
                .bind(&row.signature)
                .bind(&row.payload)
                .execute(&mut *tx)
                .await?;
            }
        });
        Ok(())
    }

    pub async fn signature_list(
        &self,
        repository: &str,
        digest: &str,
    ) -> Result<Vec<SignatureRow>> {
        Ok(read!(self, |pool| {
            sqlx::query_as(
                "SELECT payload, signature FROM signature \
                 WHERE repository = $1 AND digest = $2 ORDER BY signature",
            )
            .bind(repository)
            .bind(digest)
            .fetch_all(pool)
            .await?
        }))
    }

    /// Remembers that something breaks rules of a policy now; what is remembered keeps its time.
    pub async fn violation_put(
        &self,
        org: &OrgName,
        policy: &str,
        found: &[ViolationRow],
    ) -> Result<()> {
        write!(&self.0.database, |tx| {
            for row in found {
                sqlx::query(
                    "INSERT INTO violation (org, policy, rule, subject, since_ms) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                )
                .bind(org.as_str())
                .bind(policy)
                .bind(&row.rule)
                .bind(&row.subject)
                .bind(row.since_ms)
                .execute(&mut *tx)
                .await?;
            }
        });
        Ok(())
    }

    pub async fn violation_list(&self, org: &OrgName, policy: &str) -> Result<Vec<ViolationRow>> {
        Ok(read!(self, |pool| {
            sqlx::query_as(
                "SELECT rule, subject, since_ms FROM violation WHERE org = $1 AND policy = $2",
            )
            .bind(org.as_str())
            .bind(policy)
            .fetch_all(pool)
            .await?
        }))
    }

    /// Forgets all about a policy that is deleted.
    pub async fn violation_forget(&self, org: &OrgName, policy: &str) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM violation WHERE org = $1 AND policy = $2")
                .bind(org.as_str())
                .bind(policy)
                .execute(tx)
                .await?;
        });
        Ok(())
    }
}
