//! Runs read and listed.

use dispatch_model::{OrgName, Page, Run, State};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::database::read;
use crate::run_body::{self, RunColumns};
use crate::{Result, RunQuery, Store};

/// Runs on a page when the caller names no limit, and the most it may name.
const PAGE: u32 = 1_000;
/// Most runs that are looked at for one page when most of them do not have the tags asked for.
const LOOKED_AT: usize = 20_000;

impl Store {
    pub async fn run_get(&self, org: &OrgName, id: Uuid) -> Result<Option<Run>> {
        let sql = format!("SELECT {} FROM run WHERE org = $1 AND id = $2", run_body::COLUMNS);
        let row: Option<RunColumns> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(id)
                .fetch_optional(pool)
                .await?
        });
        row.map(run_body::read).transpose()
    }

    /// Runs of an organization, the newest first unless asked otherwise. Runs selected by tags
    /// are looked for among a bounded number of runs, so a page may be short and still continue.
    pub async fn run_list(&self, org: &OrgName, query: &RunQuery) -> Result<Page<Run>> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE) as usize;
        // Tags are in the body; without them every row that is read is wanted.
        let chunk = if query.tags.is_empty() { limit } else { PAGE as usize };
        let mut items = Vec::with_capacity(limit);
        let (mut after, mut looked_at) = (query.after, 0);
        loop {
            let rows = self.run_rows(org, query, after, chunk as i64 + 1).await?;
            let more = rows.len() > chunk;
            let mut rows = rows.into_iter().take(chunk).peekable();
            while let Some(row) = rows.next() {
                after = Some(row.1);
                looked_at += 1;
                let run = run_body::read(row)?;
                let tagged = |(key, value): &(String, String)| run.tags.get(key) == Some(value);
                if !query.tags.iter().all(tagged) {
                    continue;
                }
                items.push(run);
                if items.len() == limit {
                    let last = after.filter(|_| more || rows.peek().is_some());
                    return Ok(page(items, last));
                }
            }
            if !more || looked_at >= LOOKED_AT {
                return Ok(page(items, after.filter(|_| more)));
            }
        }
    }

    async fn run_rows(
        &self,
        org: &OrgName,
        query: &RunQuery,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<RunColumns>> {
        Ok(read!(self, |pool| {
            let mut sql = QueryBuilder::new("SELECT ");
            sql.push(run_body::COLUMNS).push(" FROM run WHERE org = ").push_bind(org.as_str());
            if let Some(function) = &query.function {
                sql.push(" AND function_name = ").push_bind(function.as_str());
            }
            if let Some(state) = query.state {
                sql.push(" AND state = ").push_bind(state.as_str());
                if state != State::Ready {
                    // What the index of the few is made for.
                    sql.push(" AND state <> 'READY'");
                }
            }
            if query.dead {
                sql.push(" AND dead = 1");
            }
            if let Some(since) = query.since_us.and_then(first_id) {
                sql.push(" AND id >= ").push_bind(since);
            }
            let (than, direction) = if query.oldest_first { (" > ", "") } else { (" < ", " DESC") };
            if let Some(after) = after {
                sql.push(" AND id").push(than).push_bind(after);
            }
            sql.push(" ORDER BY id").push(direction).push(" LIMIT ").push_bind(limit);
            sql.build_query_as().fetch_all(pool).await?
        }))
    }

    /// How many runs wait to be executed, or are.
    pub async fn run_pending(&self) -> Result<u64> {
        let (count,): (i64,) = read!(self, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM run WHERE due_us IS NOT NULL")
                .fetch_one(pool)
                .await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn page(items: Vec<Run>, last: Option<Uuid>) -> Page<Run> {
    Page { items, continue_token: last.map(|id| id.to_string()) }
}

/// The smallest UUIDv7 of a time (unix microseconds): ids hold their time, in milliseconds.
pub(crate) fn first_id(us: i64) -> Option<Uuid> {
    let ms = u64::try_from(us.div_euclid(1_000)).ok()?;
    Some(Uuid::from_u128(u128::from(ms) << 80))
}
