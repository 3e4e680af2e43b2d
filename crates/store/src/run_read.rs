//! Runs read, listed, and deleted.

use dispatch_model::{OrgName, Page, Run};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::database::{read, write};
use crate::{Result, RunQuery, Store};

/// Runs on a page when the caller names no limit, and the most it may name.
const PAGE: u32 = 1_000;
/// Runs deleted in one transaction, so that none takes long.
const DELETE: i64 = 1_000;

impl Store {
    pub async fn run_get(&self, org: &OrgName, id: Uuid) -> Result<Option<Run>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT body FROM run WHERE org = $1 AND id = $2")
                .bind(org.as_str())
                .bind(id)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(body,)| serde_json::from_str(&body)).transpose()?)
    }

    /// Runs of an organization, the newest first unless asked otherwise. Runs selected by tags
    /// are looked for among at most a few pages, so a page may be short and still continue.
    pub async fn run_list(&self, org: &OrgName, query: &RunQuery) -> Result<Page<Run>> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE) as usize;
        let rows: Vec<(Uuid, String)> = read!(self, |pool| {
            let mut sql = QueryBuilder::new("SELECT id, body FROM run WHERE org = ");
            sql.push_bind(org.as_str());
            if let Some(function) = &query.function {
                sql.push(" AND function_name = ").push_bind(function.as_str());
            }
            if let Some(state) = query.state {
                sql.push(" AND state = ").push_bind(state.as_str());
            }
            if query.dead {
                sql.push(" AND dead = 1");
            }
            if let Some(since) = query.since_us.and_then(first_id) {
                sql.push(" AND id >= ").push_bind(since);
            }
            let (than, direction) = if query.oldest_first { (" > ", "") } else { (" < ", " DESC") };
            if let Some(after) = query.after {
                sql.push(" AND id").push(than).push_bind(after);
            }
            sql.push(" ORDER BY id").push(direction);
            sql.push(" LIMIT ").push_bind(limit as i64 + 1);
            sql.build_query_as().fetch_all(pool).await?
        });
        let more = rows.len() > limit;
        let last = rows.iter().take(limit).last().map(|(id, _)| id.to_string());
        let mut items = Vec::with_capacity(rows.len().min(limit));
        for (_, body) in rows.iter().take(limit) {
            let run: Run = serde_json::from_str(body)?;
            let tagged = |(key, value): &(String, String)| run.tags.get(key) == Some(value);
            if query.tags.iter().all(tagged) {
                items.push(run);
            }
        }
        Ok(Page { items, continue_token: last.filter(|_| more) })
    }

    /// How many runs wait to be executed.
    pub async fn run_pending(&self) -> Result<u64> {
        let (count,): (i64,) = read!(self, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM run WHERE next_attempt_us IS NOT NULL")
                .fetch_one(pool)
                .await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Deletes all runs of a function.
    pub async fn run_delete_of(&self, org: &OrgName, function_id: Uuid) -> Result<u64> {
        let sql = "DELETE FROM run WHERE (org, id) IN (SELECT org, id FROM run WHERE org = $1 \
                   AND function_id = $2 LIMIT $3)";
        let mut total = 0;
        loop {
            let gone = write!(&self.0.database, |tx| {
                sqlx::query(sql)
                    .bind(org.as_str())
                    .bind(function_id)
                    .bind(DELETE)
                    .execute(tx)
                    .await?
                    .rows_affected()
            });
            total += gone;
            if gone < DELETE as u64 {
                return Ok(total);
            }
        }
    }

    /// Deletes one ended run, for instance a dead letter; false when it is not there.
    pub async fn run_delete(&self, org: &OrgName, id: Uuid) -> Result<bool> {
        let gone = write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM run WHERE org = $1 AND id = $2 AND next_attempt_us IS NULL")
                .bind(org.as_str())
                .bind(id)
                .execute(tx)
                .await?
                .rows_affected()
        });
        Ok(gone > 0)
    }

    /// Deletes ended runs accepted before a time (unix microseconds), and all but the newest
    /// `per_function` of each function. Dead letters stay until they are too old.
    pub async fn run_retain(
        &self,
        before_us: Option<i64>,
        per_function: Option<u64>,
    ) -> Result<u64> {
        let mut total = 0;
        if let Some(before) = before_us.and_then(first_id) {
            total += self.delete_before(before).await?;
        }
        if let Some(keep) = per_function {
            let functions: Vec<(String, String)> = read!(self, |pool| {
                sqlx::query_as(
                    "SELECT org, function_name FROM run GROUP BY org, function_name \
                     HAVING COUNT(*) > $1",
                )
                .bind(i64::try_from(keep).unwrap_or(i64::MAX))
                .fetch_all(pool)
                .await?
            });
            for (org, function) in functions {
                total += self.delete_beyond(&org, &function, keep).await?;
            }
        }
        Ok(total)
    }

    async fn delete_before(&self, before: Uuid) -> Result<u64> {
        let mut total = 0;
        loop {
            let gone = write!(&self.0.database, |tx| {
                sqlx::query(
                    "DELETE FROM run WHERE (org, id) IN (SELECT org, id FROM run WHERE id < $1 \
                     AND next_attempt_us IS NULL LIMIT $2)",
                )
                .bind(before)
                .bind(DELETE)
                .execute(tx)
                .await?
                .rows_affected()
            });
            total += gone;
            if gone < DELETE as u64 {
                return Ok(total);
            }
        }
    }

    async fn delete_beyond(&self, org: &str, function: &str, keep: u64) -> Result<u64> {
        let mut total = 0;
        loop {
            let gone = write!(&self.0.database, |tx| {
                sqlx::query(
                    "DELETE FROM run WHERE (org, id) IN (SELECT org, id FROM run WHERE org = $1 \
                     AND function_name = $2 AND next_attempt_us IS NULL AND dead = 0 AND id < \
                     (SELECT id FROM run WHERE org = $1 AND function_name = $2 \
                      ORDER BY id DESC LIMIT 1 OFFSET $3) LIMIT $4)",
                )
                .bind(org)
                .bind(function)
                .bind(i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX))
                .bind(DELETE)
                .execute(tx)
                .await?
                .rows_affected()
            });
            total += gone;
            if gone < DELETE as u64 {
                return Ok(total);
            }
        }
    }
}

/// The smallest UUIDv7 of a time (unix microseconds): ids hold their time, in milliseconds.
fn first_id(us: i64) -> Option<Uuid> {
    let ms = u64::try_from(us.div_euclid(1_000)).ok()?;
    Some(Uuid::from_u128(u128::from(ms) << 80))
}
