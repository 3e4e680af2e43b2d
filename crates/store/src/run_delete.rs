//! Runs deleted: with their function, by age, by number. Always in steps that stay short, so that
//! nobody waits long for the database.

use dispatch_model::OrgName;
use uuid::Uuid;

use crate::database::{read, write};
use crate::run_read::first_id;
use crate::{Result, Store};

/// Runs looked at in one step.
const STEP: i64 = 1_000;

/// Which runs of an organization are deleted, of those that are not to be executed any more.
#[derive(Default)]
struct Doomed<'a> {
    org: &'a str,
    /// Looked for among the runs of this name, else among all.
    function: Option<&'a str>,
    function_id: Option<Uuid>,
    /// Only those before it.
    before: Option<Uuid>,
    keep_dead: bool,
    /// Also those that wait to be executed.
    waiting: bool,
}

impl Store {
    /// Deletes all runs of a function, also those that wait.
    pub async fn run_delete_of(&self, org: &OrgName, function_id: Uuid) -> Result<u64> {
        // Those that have ended but are not written yet shall not outlive the others.
        self.flush().await?;
        let named: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT name FROM resource WHERE id = $1")
                .bind(function_id)
                .fetch_optional(pool)
                .await?
        });
        let function = named.as_ref().map(|(name,)| name.as_str());
        self.delete_runs(&Doomed {
            org: org.as_str(),
            function,
            function_id: Some(function_id),
            waiting: true,
            ..Doomed::default()
        })
        .await
    }

    /// Deletes all runs of an organization, also those that wait.
    pub async fn run_delete_all(&self, org: &OrgName) -> Result<u64> {
        self.flush().await?;
        let all = Doomed { org: org.as_str(), waiting: true, ..Doomed::default() };
        self.delete_runs(&all).await
    }

    /// Deletes one ended run, for instance a dead letter; false when it is not there.
    pub async fn run_delete(&self, org: &OrgName, id: Uuid) -> Result<bool> {
        let gone = write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM run WHERE org = $1 AND id = $2 AND due_us IS NULL")
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
        let before = before_us.and_then(first_id);
        let mut org = String::new();
        while let Some(next) = self.next_org(&org).await? {
            org = next;
            if before.is_some() {
                let old = Doomed { org: &org, before, ..Doomed::default() };
                total += self.delete_runs(&old).await?;
            }
            if let Some(keep) = per_function {
                total += self.delete_surplus(&org, keep).await?;
            }
        }
        Ok(total)
    }

    async fn delete_surplus(&self, org: &str, keep: u64) -> Result<u64> {
        let skip = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
        let mut total = 0;
        let mut function = String::new();
        while let Some(next) = self.next_function(org, &function).await? {
            function = next;
            let oldest_kept: Option<(Uuid,)> = read!(self, |pool| {
                sqlx::query_as(
                    "SELECT id FROM run WHERE org = $1 AND function_name = $2 \
                     ORDER BY id DESC LIMIT 1 OFFSET $3",
                )
                .bind(org)
                .bind(&function)
                .bind(skip)
                .fetch_optional(pool)
                .await?
            });
            if let Some((oldest_kept,)) = oldest_kept {
                let surplus = Doomed {
                    org,
                    function: Some(&function),
                    before: Some(oldest_kept),
                    keep_dead: true,
                    ..Doomed::default()
                };
                total += self.delete_runs(&surplus).await?;
            }
        }
        Ok(total)
    }

    /// The first organization after a name that has runs.
    async fn next_org(&self, after: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT org FROM run WHERE org > $1 ORDER BY org LIMIT 1")
                .bind(after)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(org,)| org))
    }

    async fn next_function(&self, org: &str, after: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as(
                "SELECT function_name FROM run WHERE org = $1 AND function_name > $2 \
                 ORDER BY function_name LIMIT 1",
            )
            .bind(org)
            .bind(after)
            .fetch_optional(pool)
            .await?
        });
        Ok(row.map(|(function,)| function))
    }

    /// Goes through the runs in the order of their ids, a step in each transaction.
    async fn delete_runs(&self, doomed: &Doomed<'_>) -> Result<u64> {
        let range = match doomed.function {
            Some(_) => "org = $1 AND function_name = $2 AND id > $3 AND id < $4",
            None => "org = $1 AND $2 = '' AND id > $3 AND id < $4",
        };
        let find = format!("SELECT id FROM run WHERE {range} ORDER BY id LIMIT 1 OFFSET $5");
        let which = match doomed.function_id {
            Some(_) => "function_id = $5",
            None => "$5 IS NOT NULL",
        };
        let dead = if doomed.keep_dead { " AND dead = 0" } else { "" };
        let waiting = if doomed.waiting { "" } else { " AND due_us IS NULL" };
        let delete = format!("DELETE FROM run WHERE {range} AND {which}{dead}{waiting}");
        let function = doomed.function.unwrap_or_default();
        let before = doomed.before.unwrap_or(Uuid::max());
        let (mut after, mut total) = (Uuid::nil(), 0);
        loop {
            let end: Option<(Uuid,)> = read!(self, |pool| {
                sqlx::query_as(sqlx::AssertSqlSafe(find.clone()))
                    .bind(doomed.org)
                    .bind(function)
                    .bind(after)
                    .bind(before)
                    .bind(STEP)
                    .fetch_optional(pool)
                    .await?
            });
            let end = end.map(|(id,)| id);
            total += write!(&self.0.database, |tx| {
                sqlx::query(sqlx::AssertSqlSafe(delete.clone()))
                    .bind(doomed.org)
                    .bind(function)
                    .bind(after)
                    .bind(end.unwrap_or(before))
                    .bind(doomed.function_id.unwrap_or_default())
                    .execute(tx)
                    .await?
                    .rows_affected()
            });
            // The run at the end of a step is the first of the next one.
            let Some(end) = end else { return Ok(total) };
            after = Uuid::from_u128(end.as_u128() - 1);
        }
    }
}
