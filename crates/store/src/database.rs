//! Opening a database, and the two shapes a connection has.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqliteConnection, SqlitePool};
use tokio::sync::broadcast;

use crate::audit::Written;
use crate::change_follow::follow;
use crate::run_writer::RunWriter;
use crate::{Change, Error, Result};

/// Changes a slow listener may fall behind before it has to read the log instead.
const SIGNALS: usize = 4_096;

/// Bytes of a page. A run takes about one KiB, so that a page holds several, and few writes many.
const PAGE_BYTES: u32 = 8_192;
/// Pages in SQLite's write-ahead log from which on a commit moves them into the database (16 MiB).
const CHECKPOINT_PAGES: &str = "2000";
/// Memory of the writing connection for pages (8 MiB, as SQLite counts it: less than zero is KiB).
/// Room for the largest batch of runs, which otherwise is written before its commit and again.
const WRITER_CACHE: &str = "-8192";
/// What the log is cut to after a burst, in bytes.
const LOG_BYTES: &str = "67108864";

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that read (SQLite).
    pub readers: u32,
    /// How SQLite treats a commit.
    pub synchronous: Synchronous,
    /// Connections to PostgreSQL.
    pub postgres_connections: u32,
    /// Memory for runs that wait to be written, in KiB; each run takes at least one.
    pub run_queue: usize,
    /// How long a blob that no function names is kept: one that does may be about to be stored.
    pub unused_blob_ms: i64,
    /// Versions of a secret that are kept, the one that holds among them.
    pub secret_versions: u32,
    /// Largest size of an SQLite database, in pages of 4 KiB; no limit when absent.
    pub max_pages: Option<u32>,
}

/// What a commit of SQLite survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// The machine losing power.
    Full,
    /// The process being killed.
    Normal,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            synchronous: Synchronous::Full,
            postgres_connections: 16,
            run_queue: 65_536,
            unused_blob_ms: 3_600_000,
            secret_versions: 10,
            max_pages: None,
        }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub database: Database,
    pub signal: broadcast::Sender<Change>,
    pub runs: RunWriter,
    pub audited: Written,
    pub unused_blob_ms: i64,
    pub secret_versions: u32,
    /// Signals the changes of all servers on PostgreSQL.
    follower: std::sync::OnceLock<tokio::task::AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.get() {
            follower.abort();
        }
    }
}

/// SQLite takes one writer at a time, so it gets one connection; PostgreSQL sorts that out itself.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// Runs the same body on a reading connection pool of either database.
macro_rules! read {
    ($store:expr, |$pool:ident| $body:expr) => {
        match &$store.0.database {
            $crate::database::Database::Sqlite { readers: $pool, .. } => {
                $crate::fault::point($pool)?;
                $body
            }
            $crate::database::Database::Postgres($pool) => {
                $crate::fault::point($pool)?;
                $body
            }
        }
    };
}
pub(crate) use read;

/// Runs the same body in a writing transaction of either database, and commits it. Expands to the
/// body's value; `?` and `return Err(..)` in the body end the transaction without a trace.
///
/// SQLite rolls back by itself when the disk is full, which a transaction object would not notice;
/// so its statements are sent by hand.
macro_rules! write {
    ($database:expr, |$tx:ident| $body:expr) => {
        match $database {
            $crate::database::Database::Sqlite { writer, .. } => {
                $crate::fault::point(writer)?;
                let mut connection = writer.acquire().await?;
                $crate::database::begin(&mut connection).await?;
                let outcome: $crate::Result<_> = async {
                    let $tx = &mut *connection;
                    Ok($body)
                }
                .await;
                $crate::database::end(&mut connection, outcome).await?
            }
            $crate::database::Database::Postgres(pool) => {
                $crate::fault::point(pool)?;
                let mut transaction = pool.begin().await?;
                let outcome: $crate::Result<_> = async {
                    let $tx = &mut *transaction;
                    Ok($body)
                }
                .await;
                let value = outcome?;
                transaction.commit().await?;
                // The connection may break before the answer is here.
                $crate::fault::point(pool)?;
                value
            }
        }
    };
}
pub(crate) use write;

/// Begins a transaction that writes. One left open by a caller that went away is undone first.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<()> {
    let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await;
    if begun.is_err() {
        roll_back(connection).await;
        sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    }
    Ok(())
}

/// Commits what succeeded and undoes what failed.
pub(crate) async fn end<T>(connection: &mut SqliteConnection, outcome: Result<T>) -> Result<T> {
    let value = match outcome {
        Ok(value) => value,
        Err(error) => {
            roll_back(connection).await;
            return Err(error);
        }
    };
    if let Err(error) = sqlx::query("COMMIT").execute(&mut *connection).await {
        roll_back(connection).await;
        return Err(error.into());
    }
    Ok(value)
}

async fn roll_back(connection: &mut SqliteConnection) {
    // Fails when SQLite has done it already, which is as good.
    let _ = sqlx::query("ROLLBACK").execute(connection).await;
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…` and brings its schema up to date.
    pub async fn open(url: &str, options: Options) -> Result<Store> {
        let database = if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url, &options).await?
        } else {
            open_sqlite(url, &options).await?
        };
        let (signal, _) = broadcast::channel(SIGNALS);
        let runs = RunWriter::start(database.clone(), options.run_queue);
        let Options { unused_blob_ms, secret_versions, .. } = options;
        let follower = std::sync::OnceLock::new();
        let audited = Written::default();
        let inner =
            Inner { database, signal, runs, audited, unused_blob_ms, secret_versions, follower };
        let store = Store(Arc::new(inner));
        if let Database::Postgres(pool) = &store.0.database {
            let seq = store.last_change().await?;
            let task = tokio::spawn(follow(pool.clone(), store.0.signal.clone(), seq));
            store.0.follower.get_or_init(|| task.abort_handle());
        }
        Ok(store)
    }

    /// Whether this is SQLite, which one server has for itself.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.0.database, Database::Sqlite { .. })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        read!(self, |pool| {
            sqlx::query("SELECT 1").execute(pool).await?;
        });
        Ok(())
    }

    /// Writes what waits to be written and closes all connections.
    pub async fn close(&self) {
        self.0.runs.stop().await;
        if let Some(follower) = self.0.follower.get() {
            follower.abort();
        }
        match &self.0.database {
            Database::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_sqlite(url: &str, options: &Options) -> Result<Database> {
    let invalid = |e: sqlx::Error| Error::Unavailable(format!("{url}: {e}"));
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    let connect = SqliteConnectOptions::from_str(url)
        .map_err(invalid)?
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(10))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_BYTES)
        .statement_cache_capacity(256);
    let connect = match options.max_pages {
        Some(pages) => connect.pragma("max_page_count", pages.to_string()),
        None => connect,
    };
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(connect.clone().pragma("cache_size", WRITER_CACHE))
        .await
        .map_err(invalid)?;
    migrated(sqlx::migrate!("../../migrations/sqlite").run(&writer).await)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .test_before_acquire(false)
        .connect_with(connect.read_only(true))
        .await
        .map_err(invalid)?;
    Ok(Database::Sqlite { writer, readers })
}

async fn open_postgres(url: &str, options: &Options) -> Result<Database> {
    // The URL may hold a password, so it stays out of the message.
    let invalid = |e: sqlx::Error| Error::Unavailable(format!("PostgreSQL: {e}"));
    let connect = PgConnectOptions::from_str(url).map_err(invalid)?;
    let pool = PgPoolOptions::new()
        // One is taken by who listens for changes.
        .max_connections(options.postgres_connections.max(2) + 1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(connect)
        .await
        .map_err(invalid)?;
    migrated(sqlx::migrate!("../../migrations/postgres").run(&pool).await)?;
    Ok(Database::Postgres(pool))
}

fn migrated(outcome: std::result::Result<(), sqlx::migrate::MigrateError>) -> Result<()> {
    outcome.map_err(|e| Error::Database(format!("the schema cannot be brought up to date: {e}")))
}
