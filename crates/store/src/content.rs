//! What images are made of: their packages, and what is known against those.
//!
//! Content is known by the digest of its manifest and never changes, so all organizations share
//! its rows; an organization sees those that a resource of its own has as `digest` or
//! `image_digest`.

use dispatch_model::resource::now_ms;
use dispatch_model::{Name, OrgName, ResourceKind};

use crate::database::{read, write};
use crate::{Result, Store};

/// Rows of one answer at most.
pub const MAX_ROWS: u32 = 10_000;

/// A package of some content.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PackageRow {
    pub name: String,
    pub ecosystem: String,
    pub version: String,
    /// All of it, as JSON.
    pub body: String,
}

/// A vulnerability of a package of some content.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FindingRow {
    pub digest: String,
    pub id: String,
    pub ecosystem: String,
    pub package: String,
    pub version: String,
    /// 0 unknown, 1 low, 2 medium, 3 high, 4 critical.
    pub severity: i64,
    /// All of it, as JSON.
    pub body: String,
}

/// A package and how many things of an organization have it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PackageCount {
    pub name: String,
    pub ecosystem: String,
    pub version: String,
    pub images: i64,
    pub functions: i64,
}

/// A thing of an organization that has a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUser {
    pub kind: ResourceKind,
    pub user: String,
    pub package: String,
    pub ecosystem: String,
    pub version: String,
}

/// Which packages are asked for; `None` and empty are all.
#[derive(Debug, Clone, Default)]
pub struct PackageQuery {
    pub name: Option<String>,
    pub ecosystem: Option<String>,
    pub version: Option<String>,
    /// At most [`MAX_ROWS`].
    pub limit: u32,
}

impl PackageQuery {
    fn limit(&self) -> i64 {
        i64::from(self.limit.clamp(1, MAX_ROWS))
    }
}

/// The labels a resource has its content by.
const HAS: &str = "l.org = $1 AND l.label IN ('field:digest', 'field:image_digest')";
const ASKED: &str = "($2 IS NULL OR p.name = $2) AND ($3 IS NULL OR p.ecosystem = $3) \
                     AND ($4 IS NULL OR p.version = $4)";

impl Store {
    /// Stores what some content is made of, instead of what was known before.
    pub async fn content_put(
        &self,
        digest: &str,
        body: &str,
        packages: &[PackageRow],
    ) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query(
                "INSERT INTO content (digest, body, scanned, created_ms) VALUES ($1, $2, '', $3) \
                 ON CONFLICT (digest) DO UPDATE SET body = excluded.body, scanned = '', \
                 created_ms = excluded.created_ms",
            )
            .bind(digest)
            .bind(body)
            .bind(now_ms())
            .execute(&mut *tx)
            .await?;
            sqlx::query("DELETE FROM package WHERE digest = $1")
                .bind(digest)
                .execute(&mut *tx)
                .await?;
            for package in packages {
                sqlx::query(
                    "INSERT INTO package (name, digest, ecosystem, version, body) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                )
                .bind(&package.name)
                .bind(digest)
                .bind(&package.ecosystem)
                .bind(&package.version)
                .bind(&package.body)
                .execute(&mut *tx)
                .await?;
            }
        });
        Ok(())
    }

    /// Counts some content as new, so that it stays until whoever needs it has it. False when it is
    /// not known.
    pub async fn content_touch(&self, digest: &str) -> Result<bool> {
        let touched = write!(&self.0.database, |tx| {
            sqlx::query("UPDATE content SET created_ms = $2 WHERE digest = $1")
                .bind(digest)
                .bind(now_ms())
                .execute(tx)
                .await?
                .rows_affected()
        });
        Ok(touched > 0)
    }

    /// Forgets some content, whoever has it; for tests of what happens then.
    #[cfg(feature = "testing")]
    pub async fn content_forget(&self, digest: &str) -> Result<()> {
        write!(&self.0.database, |tx| {
            for table in ["content", "package", "finding"] {
                let sql = format!("DELETE FROM {table} WHERE digest = $1");
                sqlx::query(sqlx::AssertSqlSafe(sql)).bind(digest).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// The body of some content, as it was put.
    pub async fn content_get(&self, digest: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT body FROM content WHERE digest = $1")
                .bind(digest)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(body,)| body))
    }

    pub async fn content_packages(&self, digest: &str) -> Result<Vec<PackageRow>> {
        Ok(read!(self, |pool| {
            sqlx::query_as(
                "SELECT name, ecosystem, version, body FROM package WHERE digest = $1 \
                 ORDER BY ecosystem, name, version",
            )
            .bind(digest)
            .fetch_all(pool)
            .await?
        }))
    }

    /// The packages of an organization, with the number of its images and functions that have
    /// them.
    pub async fn package_list(
        &self,
        org: &OrgName,
        query: &PackageQuery,
    ) -> Result<Vec<PackageCount>> {
        // What has a digest is counted first: that is few rows, and packages are many.
        let sql = format!(
            "WITH used AS (SELECT l.value AS digest, \
             SUM(CASE WHEN l.kind = 'Function' THEN 0 ELSE 1 END) AS images, \
             SUM(CASE WHEN l.kind = 'Function' THEN 1 ELSE 0 END) AS functions \
             FROM resource_label l WHERE {HAS} GROUP BY l.value) \
             SELECT p.name, p.ecosystem, p.version, CAST(SUM(u.images) AS BIGINT) AS images, \
             CAST(SUM(u.functions) AS BIGINT) AS functions \
             FROM used u JOIN package p ON p.digest = u.digest WHERE {ASKED} \
             GROUP BY p.name, p.ecosystem, p.version \
             ORDER BY p.name, p.ecosystem, p.version LIMIT $5"
        );
        Ok(read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(&query.name)
                .bind(&query.ecosystem)
                .bind(&query.version)
                .bind(query.limit())
                .fetch_all(pool)
                .await?
        }))
    }

    /// Who has a package, by kind and name.
    pub async fn package_users(
        &self,
        org: &OrgName,
        query: &PackageQuery,
    ) -> Result<Vec<PackageUser>> {
        // Grouped in the order of the answer: one sort. SQLite takes a CROSS JOIN in the order it
        // is written, which is that of the cost: what has the package, then who has that.
        const ORDER: &str = "l.kind, l.name, p.ecosystem, p.version";
        let sql = format!(
            "SELECT {ORDER} FROM package p CROSS JOIN resource_label l \
             WHERE l.value = p.digest AND {HAS} AND p.name = $2 \
             AND ($3 IS NULL OR p.ecosystem = $3) \
             AND ($4 IS NULL OR p.version = $4) GROUP BY {ORDER} ORDER BY {ORDER} LIMIT $5"
        );
        let package = query.name.as_deref().unwrap_or_default();
        let rows: Vec<(String, String, String, String)> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(package)
                .bind(&query.ecosystem)
                .bind(&query.version)
                .bind(query.limit())
                .fetch_all(pool)
                .await?
        });
        let user = |(kind, user, ecosystem, version): (String, _, _, _)| {
            let (kind, package) = (ResourceKind::parse(&kind)?, package.to_owned());
            Some(PackageUser { kind, user, package, ecosystem, version })
        };
        Ok(rows.into_iter().filter_map(user).collect())
    }

    /// Content whose findings are not of this vulnerability database.
    pub async fn content_unscanned(&self, database: &str, limit: u32) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT digest FROM content WHERE scanned <> $1 LIMIT $2")
                .bind(database)
                .bind(i64::from(limit))
                .fetch_all(pool)
                .await?
        });
        Ok(rows.into_iter().map(|(digest,)| digest).collect())
    }

    /// Replaces what is known against some content.
    pub async fn finding_replace(
        &self,
        digest: &str,
        database: &str,
        findings: &[FindingRow],
    ) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM finding WHERE digest = $1")
                .bind(digest)
                .execute(&mut *tx)
                .await?;
            for finding in findings {
                sqlx::query(
                    "INSERT INTO finding \
                     (digest, id, ecosystem, package, version, severity, body) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                )
                .bind(digest)
                .bind(&finding.id)
                .bind(&finding.ecosystem)
                .bind(&finding.package)
                .bind(&finding.version)
                .bind(finding.severity)
                .bind(&finding.body)
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("UPDATE content SET scanned = $2 WHERE digest = $1")
                .bind(digest)
                .bind(database)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// What is known against some content, the worst first.
    pub async fn finding_list(&self, digest: &str) -> Result<Vec<FindingRow>> {
        Ok(read!(self, |pool| {
            sqlx::query_as(
                "SELECT digest, id, ecosystem, package, version, severity, body FROM finding \
                 WHERE digest = $1 ORDER BY severity DESC, package, id, version",
            )
            .bind(digest)
            .fetch_all(pool)
            .await?
        }))
    }

    /// What is known against the content of an organization, the worst first; a vulnerability of
    /// several contents comes as often. At most [`MAX_ROWS`].
    pub async fn finding_of(
        &self,
        org: &OrgName,
        severity: i64,
        package: Option<&str>,
    ) -> Result<Vec<FindingRow>> {
        let sql = format!(
            "WITH used AS (SELECT DISTINCT l.value AS digest FROM resource_label l WHERE {HAS}) \
             SELECT f.digest, f.id, f.ecosystem, f.package, f.version, f.severity, f.body \
             FROM used u JOIN finding f ON f.digest = u.digest \
             WHERE f.severity >= $2 AND ($3 IS NULL OR f.package = $3) \
             ORDER BY f.severity DESC, f.ecosystem, f.package, f.id, f.version, f.digest LIMIT $4"
        );
        Ok(read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(severity)
                .bind(package)
                .bind(i64::from(MAX_ROWS))
                .fetch_all(pool)
                .await?
        }))
    }

    /// The things of an organization that have content, by its digest: digest, kind and name.
    pub async fn content_of(&self, org: &OrgName) -> Result<Vec<(String, ResourceKind, String)>> {
        let sql = format!(
            "SELECT l.value, l.kind, l.name FROM resource_label l WHERE {HAS} \
             ORDER BY l.value, l.kind, l.name"
        );
        let rows: Vec<(String, String, String)> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(org.as_str()).fetch_all(pool).await?
        });
        let user = |(digest, kind, name): (String, String, _)| {
            Some((digest, ResourceKind::parse(&kind)?, name))
        };
        Ok(rows.into_iter().filter_map(user).collect())
    }

    /// How much content of an organization has findings of another database, or of none.
    pub async fn content_unscanned_of(&self, org: &OrgName, database: &str) -> Result<u64> {
        let sql = format!(
            "SELECT COUNT(DISTINCT c.digest) FROM content c \
             JOIN resource_label l ON l.value = c.digest WHERE {HAS} AND c.scanned <> $2"
        );
        let (count,): (i64,) = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(database)
                .fetch_one(pool)
                .await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The database some content's findings are of; `None` when nothing is known of it.
    pub async fn content_scanned(&self, digest: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT scanned FROM content WHERE digest = $1")
                .bind(digest)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(scanned,)| scanned))
    }

    /// Whoever has some content: kind, organization and name.
    pub async fn content_users(&self, digest: &str) -> Result<Vec<(ResourceKind, OrgName, Name)>> {
        let rows: Vec<(String, String, String)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT kind, org, name FROM resource_label WHERE value = $1 \
                 AND label IN ('field:digest', 'field:image_digest') LIMIT 100",
            )
            .bind(digest)
            .fetch_all(pool)
            .await?
        });
        let user = |(kind, org, name): (String, String, String)| {
            let kind = ResourceKind::parse(&kind)?;
            Some((kind, OrgName::new(&org).ok()?, Name::trusted(&name)))
        };
        Ok(rows.into_iter().filter_map(user).collect())
    }

    /// Digests that resources of any organization have: what is to be kept.
    pub async fn content_in_use(&self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT value FROM resource_label \
                 WHERE label IN ('field:digest', 'field:image_digest') \
                 UNION SELECT value FROM resource_label WHERE label = 'kept'",
            )
            .fetch_all(pool)
            .await?
        });
        Ok(rows.into_iter().map(|(digest,)| digest).collect())
    }

    /// Deletes what nothing has and is older than `before_ms`.
    pub async fn content_collect(&self, before_ms: i64) -> Result<u64> {
        const UNUSED: &str = "created_ms < $1 AND NOT EXISTS (SELECT 1 FROM resource_label l \
             WHERE l.value = content.digest AND l.label IN ('field:digest', 'field:image_digest')) \
             AND NOT EXISTS (SELECT 1 FROM resource_label k \
             WHERE k.value = content.digest AND k.label = 'kept')";
        let gone = write!(&self.0.database, |tx| {
            for table in ["package", "finding", "signature"] {
                let sql = format!(
                    "DELETE FROM {table} WHERE digest IN \
                     (SELECT digest FROM content WHERE {UNUSED})"
                );
                sqlx::query(sqlx::AssertSqlSafe(sql)).bind(before_ms).execute(&mut *tx).await?;
            }
            let sql = format!("DELETE FROM content WHERE {UNUSED}");
            let deleted = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(before_ms);
            deleted.execute(&mut *tx).await?.rows_affected()
        });
        Ok(gone)
    }
}
