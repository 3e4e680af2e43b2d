//! Dead letters: queued runs that failed for good and that nobody has dealt with yet. They are
//! listed by [`crate::RunQuery::dead`].

use dispatch_model::{OrgName, Run};
use uuid::Uuid;

use crate::audit::append;
use crate::database::{read, write};
use crate::run_body::{self, RunColumns};
use crate::{Result, Store, Told};

impl Store {
    pub async fn dead_letter_get(&self, org: &OrgName, id: Uuid) -> Result<Option<Run>> {
        let sql = format!(
            "SELECT {} FROM run WHERE org = $1 AND id = $2 AND dead = 1",
            run_body::COLUMNS
        );
        let row: Option<RunColumns> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(id)
                .fetch_optional(pool)
                .await?
        });
        row.map(run_body::read).transpose()
    }

    /// Takes a run off the dead letters; its record stays. False when it was none.
    pub(crate) async fn dead_letter_settle(
        &self,
        org: &OrgName,
        id: Uuid,
        told: &Told,
    ) -> Result<bool> {
        let entry = write!(&self.0.database, |tx| {
            let settled =
                sqlx::query("UPDATE run SET dead = 0 WHERE org = $1 AND id = $2 AND dead = 1")
                    .bind(org.as_str())
                    .bind(id)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
            match settled {
                0 => None,
                _ => Some(append!(self, tx, told)),
            }
        });
        self.audit_written(entry, 1);
        Ok(entry.is_some())
    }
}
