//! Organizations and what lies in them: nothing is stored in one that is being deleted, and none is
//! deleted that holds something.

use dispatch_model::organization::Organization;
use dispatch_model::{OrgName, Resource, ResourceKind};

use crate::audit::append_told;
use crate::database::{read, write};
use crate::resource::log_change;
use crate::row::ResourceRow;
use crate::{Error, Op, Result, Store, Told};

/// Finds the organization a resource is to be stored in. PostgreSQL then lets nobody delete it
/// before the end of the transaction; SQLite has one writer anyway.
pub(crate) fn hold(sqlite: bool) -> &'static str {
    match sqlite {
        true => "SELECT state, spec FROM resource WHERE kind = 'Organization' AND name = $1",
        false => {
            "SELECT state, spec FROM resource WHERE kind = 'Organization' AND name = $1 \
             FOR KEY SHARE"
        }
    }
}

impl Store {
    /// Deletes an organization that holds nothing but runs, and these with it. Returns what else it
    /// holds, by kind: when that is not empty, nothing was deleted.
    ///
    /// # Errors
    /// [`Error::Stale`] when someone changed it since it was read, [`Error::Missing`] when it is
    /// gone.
    pub async fn organization_remove(
        &self,
        organization: &Resource<Organization>,
        told: Option<&Told>,
    ) -> Result<Vec<(ResourceKind, u64)>> {
        let row = ResourceRow::from_resource(organization)?;
        let find = match self.is_sqlite() {
            true => "SELECT revision FROM resource WHERE id = $1",
            false => "SELECT revision FROM resource WHERE id = $1 FOR UPDATE",
        };
        let count = count_held();
        // Runs that have ended but are not written yet shall not outlive the others.
        self.flush().await?;
        let (left, seq, entry) = write!(&self.0.database, |tx| {
            let found: Option<(i64,)> =
                sqlx::query_as(find).bind(row.id).fetch_optional(&mut *tx).await?;
            match found {
                None => return Err(Error::Missing),
                Some((current,)) if current != row.revision => {
                    return Err(Error::Stale { current });
                }
                Some(_) => {}
            }
            let left: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(count.clone()))
                .bind(&row.org)
                .fetch_all(&mut *tx)
                .await?;
            if left.is_empty() {
                for sql in [
                    "DELETE FROM run WHERE org = $1",
                    "DELETE FROM run_key WHERE org = $1",
                    "DELETE FROM violation WHERE org = $1",
                    "DELETE FROM usage_hour WHERE org = $1",
                    "DELETE FROM resource_label WHERE kind = 'Organization' AND org = $1",
                    "DELETE FROM resource WHERE kind = 'Organization' AND org = $1",
                ] {
                    sqlx::query(sql).bind(&row.org).execute(&mut *tx).await?;
                }
                let seq = log_change!(self, tx, row, ResourceKind::Organization, Op::Removed);
                (left, Some(seq), append_told!(self, tx, told))
            } else {
                (left, None, None)
            }
        });
        self.audit_written(entry, 1);
        if let Some(seq) = seq {
            self.signal(organization, seq, Op::Removed);
        }
        Ok(known(left))
    }

    /// What an organization holds beside runs, by kind.
    pub async fn organization_holds(&self, org: &OrgName) -> Result<Vec<(ResourceKind, u64)>> {
        let held: Vec<(String, i64)> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(count_held()))
                .bind(org.as_str())
                .fetch_all(pool)
                .await?
        });
        Ok(known(held))
    }
}

/// Counts what an organization holds. Engines are the installation's, wherever their rows lie.
fn count_held() -> String {
    let own = [ResourceKind::Organization, ResourceKind::Engine];
    let kinds = ResourceKind::ALL.iter().filter(|kind| !own.contains(kind));
    let kinds: Vec<_> = kinds.map(|kind| format!("'{kind}'")).collect();
    format!(
        "SELECT kind, COUNT(*) FROM resource WHERE kind IN ({}) AND org = $1 \
         GROUP BY kind ORDER BY kind",
        kinds.join(", ")
    )
}

fn known(counted: Vec<(String, i64)>) -> Vec<(ResourceKind, u64)> {
    let known = |(kind, count): (String, i64)| {
        Some((ResourceKind::parse(&kind)?, u64::try_from(count).unwrap_or(0)))
    };
    counted.into_iter().filter_map(known).collect()
}
