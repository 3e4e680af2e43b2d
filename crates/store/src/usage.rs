//! What organizations use, by the hour: added up by all servers, read as tables.

use std::collections::HashMap;

use dispatch_model::{Name, OrgName};
use sqlx::QueryBuilder;

use crate::database::{read, write};
use crate::quota::{images_bytes, unsigned};
use crate::{Result, Store};

/// Rows of one answer at most.
pub const MAX_ROWS: usize = 100_000;
/// Hours of a day.
pub const DAY: i64 = 24;
/// Organizations asked for in one statement.
const MANY: usize = 500;

/// What was used in an hour since it was last told. Counts are added to what is there; of storage
/// and concurrency the most is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageDelta {
    pub org: String,
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// Empty for the organization itself.
    pub function: String,
    pub runs: u64,
    pub errors: u64,
    pub duration_us: u64,
    pub memory_mib_ms: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub storage_bytes: u64,
    pub concurrency: u64,
}

/// Of which functions usage is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UsageOf {
    /// All of an organization in one row.
    #[default]
    Organization,
    /// Each in a row of its own.
    EachFunction,
    Function(Name),
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct UsageQuery {
    /// All organizations when absent.
    pub org: Option<OrgName>,
    pub of: UsageOf,
    /// The first hour, and the first after the last.
    pub hours: (i64, i64),
    /// Whether whole days are added up.
    pub by_day: bool,
}

/// What was used in an hour or a day.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UsageRow {
    pub org: String,
    /// Empty when all are added up.
    pub function: String,
    /// The first hour, since 1970, UTC.
    pub hour: i64,
    pub runs: i64,
    pub errors: i64,
    pub duration_us: i64,
    pub memory_mib_ms: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub storage_bytes: i64,
    pub concurrency: i64,
}

impl Store {
    /// Adds what was used. What is of an organization that is gone, or going, is left out.
    pub async fn usage_add(&self, deltas: &[UsageDelta]) -> Result<()> {
        if deltas.is_empty() {
            return Ok(());
        }
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        // Servers that add to the same rows take them in the same order.
        let mut deltas: Vec<&UsageDelta> = deltas.iter().collect();
        deltas.sort_unstable_by_key(|delta| (&delta.org, delta.hour, &delta.function));
        write!(&self.0.database, |tx| {
            for delta in deltas {
                sqlx::query(ADD)
                    .bind(&delta.org)
                    .bind(delta.hour)
                    .bind(&delta.function)
                    .bind(number(delta.runs))
                    .bind(number(delta.errors))
                    .bind(number(delta.duration_us))
                    .bind(number(delta.memory_mib_ms))
                    .bind(number(delta.bytes_in))
                    .bind(number(delta.bytes_out))
                    .bind(number(delta.storage_bytes))
                    .bind(number(delta.concurrency))
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// What was used, in the order of organization, time and function; at most one row more than
    /// [`MAX_ROWS`].
    pub async fn usage_list(&self, query: &UsageQuery) -> Result<Vec<UsageRow>> {
        let hour = match query.by_day {
            true => format!("hour / {DAY} * {DAY}"),
            false => "hour".to_owned(),
        };
        let (function, which) = match &query.of {
            UsageOf::Organization => ("''", "$4 = ''"),
            UsageOf::EachFunction => ("function", "function <> '' AND $4 = ''"),
            UsageOf::Function(_) => ("function", "function = $4"),
        };
        // The most at a time of all its functions is not what each had at most, added up.
        let concurrency = match &query.of {
            UsageOf::Organization => "MAX(CASE WHEN function = '' THEN concurrency ELSE 0 END)",
            _ => "MAX(concurrency)",
        };
        let org = if query.org.is_some() { "org = $1" } else { "$1 = ''" };
        let sum = |column: &str| format!("CAST(SUM({column}) AS BIGINT) AS {column}");
        let sums = ["runs", "errors", "duration_us", "memory_mib_ms", "bytes_in", "bytes_out"];
        let sql = format!(
            "SELECT org, {function} AS function, {hour} AS hour, {}, \
             MAX(storage_bytes) AS storage_bytes, {concurrency} AS concurrency \
             FROM usage_hour WHERE {org} AND hour >= $2 AND hour < $3 AND {which} \
             GROUP BY 1, 2, 3 ORDER BY 1, 3, 2 LIMIT {}",
            sums.map(sum).join(", "),
            MAX_ROWS + 1
        );
        let named = match &query.of {
            UsageOf::Function(name) => name.as_str(),
            UsageOf::Organization | UsageOf::EachFunction => "",
        };
        Ok(read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(query.org.as_ref().map_or("", |org| org.as_str()))
                .bind(query.hours.0)
                .bind(query.hours.1)
                .bind(named)
                .fetch_all(pool)
                .await?
        }))
    }

    /// MiB-milliseconds that organizations have used since an hour, on all servers.
    pub async fn usage_memory(&self, orgs: &[&str], since: i64) -> Result<HashMap<String, u64>> {
        let mut used = HashMap::with_capacity(orgs.len());
        for some in orgs.chunks(MANY) {
            let rows: Vec<(String, i64)> = read!(self, |pool| {
                let mut sql = QueryBuilder::new(
                    "SELECT org, CAST(SUM(memory_mib_ms) AS BIGINT) FROM usage_hour \
                     WHERE hour >= ",
                );
                sql.push_bind(since).push(" AND org IN (");
                let mut list = sql.separated(", ");
                for org in some {
                    list.push_bind((*org).to_owned());
                }
                sql.push(") GROUP BY org");
                // Seldom the same number twice: not worth keeping prepared.
                sql.build_query_as().persistent(false).fetch_all(pool).await?
            });
            used.extend(rows.into_iter().map(|(org, memory)| (org, unsigned(memory))));
        }
        Ok(used)
    }

    /// Bytes that each organization stores, as its quota counts them.
    pub async fn usage_storage(&self) -> Result<HashMap<String, u64>> {
        let mut stored: HashMap<String, u64> = HashMap::new();
        for sql in [SOURCES, SECRETS, VERSIONS] {
            let rows: Vec<(String, i64)> =
                read!(self, |pool| sqlx::query_as(sql).fetch_all(pool).await?);
            for (org, bytes) in rows {
                *stored.entry(org).or_default() += unsigned(bytes);
            }
        }
        let images: Vec<(String, String)> =
            read!(self, |pool| sqlx::query_as(IMAGES).fetch_all(pool).await?);
        for (org, bytes) in images_bytes(images).into_rows() {
            *stored.entry(org).or_default() += bytes;
        }
        Ok(stored)
    }

    /// Forgets what was used before an hour. Returns how many rows went.
    pub async fn usage_trim(&self, before: i64) -> Result<u64> {
        Ok(write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM usage_hour WHERE hour < $1")
                .bind(before)
                .execute(tx)
                .await?
                .rows_affected()
        }))
    }
}

const ADD: &str = "INSERT INTO usage_hour (org, hour, function, runs, errors, duration_us, \
    memory_mib_ms, bytes_in, bytes_out, storage_bytes, concurrency) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE EXISTS (SELECT 1 FROM resource \
    WHERE kind = 'Organization' AND org = $1 AND name = $1 AND state <> 'DELETING') \
    ON CONFLICT (org, hour, function) DO UPDATE SET runs = usage_hour.runs + excluded.runs, \
    errors = usage_hour.errors + excluded.errors, \
    duration_us = usage_hour.duration_us + excluded.duration_us, \
    memory_mib_ms = usage_hour.memory_mib_ms + excluded.memory_mib_ms, \
    bytes_in = usage_hour.bytes_in + excluded.bytes_in, \
    bytes_out = usage_hour.bytes_out + excluded.bytes_out, \
    storage_bytes = CASE WHEN excluded.storage_bytes > usage_hour.storage_bytes \
    THEN excluded.storage_bytes ELSE usage_hour.storage_bytes END, \
    concurrency = CASE WHEN excluded.concurrency > usage_hour.concurrency \
    THEN excluded.concurrency ELSE usage_hour.concurrency END";
const SOURCES: &str = "SELECT l.org, CAST(SUM(LENGTH(b.bytes)) AS BIGINT) FROM \
    (SELECT DISTINCT org, value FROM resource_label WHERE label = 'blob') l \
    JOIN blob b ON b.digest = l.value GROUP BY l.org";
const SECRETS: &str = "SELECT org, CAST(SUM(LENGTH(spec)) AS BIGINT) FROM resource \
    WHERE kind = 'Secret' GROUP BY org";
const VERSIONS: &str = "SELECT r.org, CAST(SUM(LENGTH(v.spec)) AS BIGINT) FROM resource r \
    JOIN secret_version v ON v.secret = r.id WHERE r.kind = 'Secret' GROUP BY r.org";
const IMAGES: &str = "SELECT DISTINCT l.org, c.body FROM resource_label l \
    JOIN content c ON c.digest = l.value \
    WHERE l.label IN ('field:digest', 'field:image_digest')";
