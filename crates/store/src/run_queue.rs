//! Runs that wait to be executed: accepted, leased, ended, tried again, dead.

use dispatch_model::Run;
use dispatch_model::resource::now_ms;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::database::Database;
use crate::database::write;
use crate::run_batch::RunRow;
use crate::run_body::{self, RunColumns};
use crate::run_writer::Work;
use crate::{Accepted, Error, Lease, Result, RunWriterStats, Store};

/// How long an idempotency key is remembered.
const KEY_MS: i64 = 24 * 3_600_000;
/// Attempts to accept a run whose key belongs to a run that is gone.
const KEY_TRIES: u32 = 3;
/// Runs renewed in one transaction.
const RENEW: usize = 500;

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
            due_us: Some(lease.map_or(run.accepted_us, |lease| lease.until_us)),
            lease_owner: lease.map(|lease| lease.owner),
            ..RunRow::ended(run, false)?
        };
        for _ in 0..KEY_TRIES {
            let (row, owned) = (row.clone(), key.map(str::to_owned));
            let first = self.0.runs.ask(|reply| Work::Accept { row, key: owned, reply }).await?;
            let (Some(first), Some(key)) = (first, key) else { return Ok(Accepted::New) };
            if let Some(first) = self.run_get(&run.org, first).await? {
                return Ok(Accepted::Existing(first.into()));
            }
            // The first run was deleted since: its key is free again.
            self.forget_key(run, key, first).await?;
        }
        Err(Error::Unavailable("the run of this key is deleted again and again".to_owned()))
    }

    async fn forget_key(&self, run: &Run, key: &str, first: Uuid) -> Result<()> {
        write!(&self.0.database, |tx| {
            sqlx::query(
                "DELETE FROM run_key WHERE org = $1 AND function_name = $2 AND idempotency = $3 \
                 AND run_id = $4",
            )
            .bind(run.org.as_str())
            .bind(run.function_name.as_str())
            .bind(key)
            .bind(first)
            .execute(tx)
            .await?;
        });
        Ok(())
    }

    /// Takes up to `limit` runs that are due and that nobody holds, the longest waiting first.
    pub async fn run_claim(&self, lease: Lease, limit: u32) -> Result<Vec<Run>> {
        let now_us = now_ms() * 1_000;
        // SQLite's one writer needs no row locks.
        let lock = if self.is_sqlite() { "" } else { " FOR UPDATE SKIP LOCKED" };
        let sql = format!(
            "UPDATE run SET lease_owner = $1, due_us = $2 WHERE (org, id) IN (\
             SELECT org, id FROM run WHERE due_us <= $3 ORDER BY due_us LIMIT $4{lock}) \
             RETURNING {}",
            run_body::COLUMNS
        );
        let rows: Vec<RunColumns> = write!(&self.0.database, |tx| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(lease.owner)
                .bind(lease.until_us)
                .bind(now_us)
                .bind(i64::from(limit))
                .fetch_all(tx)
                .await?
        });
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.1;
            match run_body::read(row) {
                Ok(run) => runs.push(run),
                // The others shall not wait for it. It stays where it is, for people to look at.
                Err(error) => tracing::error!(run = %id, %error, "a queued run cannot be read"),
            }
        }
        runs.sort_by_key(|run| run.id);
        Ok(runs)
    }

    /// Keeps holding runs that are held.
    pub async fn run_renew(&self, lease: Lease, ids: &[Uuid]) -> Result<()> {
        for some in ids.chunks(RENEW) {
            write!(&self.0.database, |tx| {
                let mut sql = QueryBuilder::new("UPDATE run SET due_us = ");
                sql.push_bind(lease.until_us).push(" WHERE lease_owner = ");
                sql.push_bind(lease.owner).push(" AND due_us IS NOT NULL AND id IN (");
                let mut list = sql.separated(", ");
                for id in some {
                    list.push_bind(*id);
                }
                sql.push(")");
                // Seldom the same number of ids twice: not worth keeping prepared.
                sql.build().persistent(false).execute(tx).await?;
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
                "UPDATE run SET lease_owner = NULL, due_us = 0 \
                 WHERE due_us IS NOT NULL AND lease_owner <> $1",
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
        self.change(RunRow { due_us: Some(due_us), ..RunRow::ended(run, false)? }).await
    }

    async fn change(&self, row: RunRow) -> Result<()> {
        self.0.runs.ask(|reply| Work::Change { row, reply }).await
    }

    /// Waits until everything handed over before is written.
    pub async fn flush(&self) -> Result<()> {
        self.0.runs.ask(Work::Flush).await
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
