//! Runs that wait to be executed: accepted, leased, ended, tried again, dead.

use dispatch_model::Run;
use dispatch_model::resource::now_ms;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::database::Database;
use crate::database::write;
use crate::run_batch::RunRow;
use crate::run_writer::Entry;
use crate::{Accepted, Error, Lease, Result, RunWriterStats, Store};

/// How long an idempotency key is remembered.
const KEY_MS: i64 = 24 * 3_600_000;

impl Store {
    /// Records a finished run of a waiting caller. Returns when it is queued, which takes at most
    /// a second; it is written within milliseconds.
    pub async fn run_record(&self, run: &Run) {
        match RunRow::ended(run, false) {
            Ok(row) => self.0.runs.record(row).await,
            Err(error) => tracing::error!(run = %run.id, %error, "a run cannot be written"),
        }
    }

    /// Stores a run that is to be executed; committed when this returns. With a lease the caller
    /// executes it, without one whoever claims it. With a key that was used before for the
    /// function, nothing is stored and the first run is returned.
    pub async fn run_accept(
        &self,
        run: &Run,
        key: Option<&str>,
        lease: Option<Lease>,
    ) -> Result<Accepted> {
        let row = RunRow {
            next_attempt_us: Some(run.accepted_us),
            lease_owner: lease.map(|lease| lease.owner),
            lease_until_us: lease.map(|lease| lease.until_us),
            ..RunRow::ended(run, false)?
        };
        let key = key.map(str::to_owned);
        let first = self.0.runs.ask(|reply| Entry::Accept { row, key, reply }).await?;
        match first {
            None => Ok(Accepted::New),
            Some(id) => match self.run_get(&run.org, id).await? {
                Some(first) => Ok(Accepted::Existing(first)),
                // The first run was deleted since (retention); its key goes too.
                None => Err(Error::Missing),
            },
        }
    }

    /// Takes up to `limit` runs that are due and that nobody holds, the longest waiting first.
    pub async fn run_claim(&self, lease: Lease, limit: u32) -> Result<Vec<Run>> {
        let now_us = now_ms() * 1_000;
        // SQLite's one writer needs no row locks.
        let lock = if self.is_sqlite() { "" } else { " FOR UPDATE SKIP LOCKED" };
        let sql = format!(
            "UPDATE run SET lease_owner = $1, lease_until_us = $2 WHERE (org, id) IN (\
             SELECT org, id FROM run WHERE next_attempt_us <= $3 AND \
             (lease_until_us IS NULL OR lease_until_us < $3) \
             ORDER BY next_attempt_us LIMIT $4{lock}) RETURNING body"
        );
        let rows: Vec<(String,)> = write!(&self.0.database, |tx| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(lease.owner)
                .bind(lease.until_us)
                .bind(now_us)
                .bind(i64::from(limit))
                .fetch_all(tx)
                .await?
        });
        let read = |(body,): &(String,)| Ok(serde_json::from_str::<Run>(body)?);
        let mut runs = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        runs.sort_by_key(|run| run.id);
        Ok(runs)
    }

    /// Keeps holding runs that are held.
    pub async fn run_renew(&self, lease: Lease, ids: &[Uuid]) -> Result<()> {
        for some in ids.chunks(500) {
            write!(&self.0.database, |tx| {
                let mut sql = QueryBuilder::new("UPDATE run SET lease_until_us = ");
                sql.push_bind(lease.until_us).push(" WHERE lease_owner = ");
                sql.push_bind(lease.owner).push(" AND id IN (");
                let mut list = sql.separated(", ");
                for id in some {
                    list.push_bind(*id);
                }
                sql.push(")");
                sql.build().execute(tx).await?;
            });
        }
        Ok(())
    }

    /// Voids the leases of all others. On SQLite a starting server is the only one, so those who
    /// held leases are dead.
    pub async fn run_release_others(&self, owner: Uuid) -> Result<u64> {
        let Database::Sqlite { .. } = self.0.database else { return Ok(0) };
        let freed = write!(&self.0.database, |tx| {
            sqlx::query(
                "UPDATE run SET lease_owner = NULL, lease_until_us = NULL \
                 WHERE next_attempt_us IS NOT NULL AND lease_owner <> $1",
            )
            .bind(owner)
            .execute(tx)
            .await?
            .rows_affected()
        });
        Ok(freed)
    }

    /// Gives runs back that were claimed and not begun.
    pub async fn run_release(&self, owner: Uuid, ids: &[Uuid]) -> Result<()> {
        self.run_renew(Lease { owner, until_us: 0 }, ids).await
    }

    /// Stores the end of an accepted run. A run that has ended already stays as it ended, one
    /// that was deleted stays deleted.
    pub async fn run_finish(&self, run: &Run) -> Result<()> {
        self.change(RunRow::ended(run, false)?).await
    }

    /// Stores the end of a run that failed for good, and lists it among the dead letters.
    pub async fn run_dead(&self, run: &Run) -> Result<()> {
        self.change(RunRow::ended(run, true)?).await
    }

    /// Stores that a run waits again until a time (unix microseconds).
    pub async fn run_retry(&self, run: &Run, due_us: i64) -> Result<()> {
        self.change(RunRow { next_attempt_us: Some(due_us), ..RunRow::ended(run, false)? }).await
    }

    async fn change(&self, row: RunRow) -> Result<()> {
        self.0.runs.ask(|reply| Entry::Change { row, reply }).await
    }

    /// Waits until everything handed over before is written.
    pub async fn flush(&self) -> Result<()> {
        self.0.runs.ask(Entry::Flush).await
    }

    /// How the writer of runs is doing.
    pub fn run_writer_stats(&self) -> RunWriterStats {
        self.0.runs.stats()
    }

    /// Forgets idempotency keys older than a day.
    pub async fn run_keys_trim(&self) -> Result<u64> {
        let gone = write!(&self.0.database, |tx| {
            sqlx::query("DELETE FROM run_key WHERE created_ms < $1")
                .bind(now_ms() - KEY_MS)
                .execute(tx)
                .await?
                .rows_affected()
        });
        Ok(gone)
    }
}
