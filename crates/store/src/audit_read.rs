//! The audit log as it is read: found by who, what and when.

use dispatch_model::audit::{Entry, Link};
use sqlx::QueryBuilder;

use crate::database::read;
use crate::{Error, Result, Store};

/// Most entries of one answer.
pub const AUDIT_PAGE: u32 = 1_000;

/// Which entries are asked for; what is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Of one organization; of all, and of the installation itself, when absent.
    pub org: Option<String>,
    /// From this time on, in unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before this time, in unix milliseconds.
    pub until_ms: Option<i64>,
    /// As [`dispatch_model::audit::Actor`] is shown.
    pub actor: Option<String>,
    pub action: Option<String>,
    pub resource: Option<String>,
    pub name: Option<String>,
    pub outcome: Option<String>,
    pub request_id: Option<String>,
    /// The oldest first, instead of the newest.
    pub oldest_first: bool,
    /// Only those that come after this one, in the order asked for.
    pub after: Option<i64>,
    /// At most [`AUDIT_PAGE`].
    pub limit: u32,
}

impl Store {
    /// Entries of the log with their links.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when one of them was made unreadable.
    pub async fn audit_list(&self, query: &AuditQuery) -> Result<Vec<Entry>> {
        // Times never go back along the log, so a span of time is a span of numbers.
        let since = match query.since_ms {
            Some(ms) => self.audit_first_since(ms).await?,
            None => Some(1),
        };
        let Some(since) = since else { return Ok(Vec::new()) };
        let until = match query.until_ms {
            Some(ms) => self.audit_first_since(ms).await?,
            None => None,
        };
        let (order, beyond) = match query.oldest_first {
            true => (" ORDER BY seq LIMIT ", " AND seq > "),
            false => (" ORDER BY seq DESC LIMIT ", " AND seq < "),
        };
        let texts = [
            (" AND org = ", &query.org),
            (" AND actor = ", &query.actor),
            (" AND action = ", &query.action),
            (" AND resource = ", &query.resource),
            (" AND name = ", &query.name),
            (" AND outcome = ", &query.outcome),
            (" AND request_id = ", &query.request_id),
        ];
        let rows: Vec<(i64, String, String)> = read!(self, |pool| {
            let mut select = QueryBuilder::new("SELECT seq, body, link FROM audit WHERE seq >= ");
            select.push_bind(since);
            for (column, text) in texts {
                if let Some(text) = text {
                    select.push(column).push_bind(text);
                }
            }
            for (bound, seq) in [(" AND seq < ", until), (beyond, query.after)] {
                if let Some(seq) = seq {
                    select.push(bound).push_bind(seq);
                }
            }
            select.push(order).push_bind(i64::from(query.limit.clamp(1, AUDIT_PAGE)));
            select.build_query_as().fetch_all(pool).await?
        });
        rows.into_iter().map(entry).collect()
    }

    async fn audit_first_since(&self, ms: i64) -> Result<Option<i64>> {
        let row: Option<(i64,)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT seq FROM audit WHERE time_ms >= $1 ORDER BY time_ms, seq LIMIT 1",
            )
            .bind(ms)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.map(|(seq,)| seq))
    }
}

fn entry((seq, body, link): (i64, String, String)) -> Result<Entry> {
    let entry: Entry = serde_json::from_str(&body).map_err(|_| unreadable(seq))?;
    let link = Link::parse(&link).ok_or_else(|| unreadable(seq))?;
    Ok(Entry { link: Some(link), ..entry })
}

fn unreadable(seq: i64) -> Error {
    Error::Corrupt(format!("entry {seq} of the audit log cannot be read: dispatch audit verify"))
}
