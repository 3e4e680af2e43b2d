//! What can go wrong in the store.

use dispatch_model::Violation;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The organization has a resource of this kind and name.
    #[error("it exists already")]
    Exists,
    #[error("it does not exist")]
    Missing,
    /// Someone changed it after it was read.
    #[error("it was changed meanwhile and is at revision {current}")]
    Stale { current: i64 },
    /// A query that cannot be answered: the field and the rule.
    #[error("{0}")]
    Invalid(Violation),
    #[error("the disk or the database is full")]
    Full,
    /// The database does not answer, or is busy for too long.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// Something stored cannot be read back.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    #[error("database: {0}")]
    Database(String),
}

/// SQLite's result codes for a full disk or a full database, and for a failed write.
const SQLITE_FULL: &str = "13";
const SQLITE_IOERR_PREFIX: i32 = 10;
/// PostgreSQL's class for insufficient resources.
const PG_DISK_FULL: &str = "53100";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => Error::Exists,
            sqlx::Error::Database(inner) => match inner.code().as_deref() {
                Some(SQLITE_FULL | PG_DISK_FULL) => Error::Full,
                Some(code) if is_io_error(code) => Error::Full,
                Some("5" | "6") => Error::Unavailable(inner.message().to_owned()),
                _ => Error::Database(inner.message().to_owned()),
            },
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                Error::Unavailable(error.to_string())
            }
            _ => Error::Database(error.to_string()),
        }
    }
}

/// SQLite's extended I/O errors have the primary code in their low byte.
fn is_io_error(code: &str) -> bool {
    code.parse::<i32>().is_ok_and(|code| code & 0xff == SQLITE_IOERR_PREFIX)
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Corrupt(error.to_string())
    }
}
