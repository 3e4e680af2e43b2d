//! The change log: one line for each change of a resource, and a signal right after the commit.

use dispatch_model::{Name, OrgName, ResourceKind};
use sqlx::QueryBuilder;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::database::{read, write};
use crate::{Error, Result, Store};

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Inserted,
    Updated,
    Removed,
}

impl Op {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Op::Inserted => "I",
            Op::Updated => "U",
            Op::Removed => "R",
        }
    }

    fn parse(text: &str) -> Option<Op> {
        [Op::Inserted, Op::Updated, Op::Removed].into_iter().find(|op| op.as_str() == text)
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Grows with every commit.
    pub seq: i64,
    pub org: OrgName,
    pub kind: ResourceKind,
    pub name: Name,
    pub id: Uuid,
    pub op: Op,
    pub revision: i64,
}

pub(crate) type Row = (i64, String, String, String, Uuid, String, i64);

pub(crate) fn change((seq, org, kind, name, id, op, revision): Row) -> Result<Change> {
    let kind = ResourceKind::parse(&kind).ok_or_else(|| Error::Corrupt(format!("kind {kind}")))?;
    let op = Op::parse(&op).ok_or_else(|| Error::Corrupt(format!("op {op}")))?;
    let (org, name) = (OrgName::trusted(&org), Name::trusted(&name));
    Ok(Change { seq, org, kind, name, id, op, revision })
}

impl Store {
    /// Changes from now on, right after their commit: on SQLite those made through this value, on
    /// PostgreSQL those of all servers. A listener that lags reads [`Store::changes_since`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.signal.subscribe()
    }

    /// Changes after a line of the log, oldest first; of one organization or of all, of the kinds
    /// given or of all.
    pub async fn changes_since(
        &self,
        org: Option<&OrgName>,
        kinds: &[ResourceKind],
        seq: i64,
        limit: u32,
    ) -> Result<Vec<Change>> {
        let rows: Vec<Row> = read!(self, |pool| {
            let mut query = QueryBuilder::new(
                "SELECT seq, org, kind, name, id, op, revision FROM change WHERE seq > ",
            );
            query.push_bind(seq);
            if let Some(org) = org {
                query.push(" AND org = ").push_bind(org.as_str());
            }
            if !kinds.is_empty() {
                query.push(" AND kind IN (");
                let mut list = query.separated(", ");
                for kind in kinds {
                    list.push_bind(kind.as_str());
                }
                query.push(")");
            }
            query.push(" ORDER BY seq LIMIT ").push_bind(i64::from(limit));
            query.build_query_as().fetch_all(pool).await?
        });
        rows.into_iter().map(change).collect()
    }

    /// The last line of the log; 0 before the first.
    pub async fn last_change(&self) -> Result<i64> {
        let (seq,): (i64,) = read!(self, |pool| {
            sqlx::query_as("SELECT COALESCE(MAX(seq), 0) FROM change").fetch_one(pool).await?
        });
        Ok(seq)
    }

    /// Deletes all but the last `keep` lines; returns how many went.
    pub async fn trim_changes(&self, keep: i64) -> Result<u64> {
        let gone = write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM change WHERE seq <= (SELECT MAX(seq) FROM change) - $1")
                .bind(keep)
                .execute(tx)
                .await?
                .rows_affected()
        });
        Ok(gone)
    }
}
