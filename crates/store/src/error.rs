//! What can go wrong in the store.

use dispatch_model::Violation;
use dispatch_model::quota::Exceeded;

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
    /// The organization may have no more.
    #[error("the quota {} of {} is reached", .0.limit.as_str(), .0.most)]
    Quota(Exceeded),
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

/// SQLite's primary result codes; the extended ones have them in their low byte.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const PG_DISK_FULL: &str = "53100";
/// PostgreSQL's classes of errors that pass: connection, conflicts of transactions, resources,
/// locks, shutdown.
const PG_PASSING: [&str; 5] = ["08", "40", "53", "55", "57"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => Error::Exists,
            sqlx::Error::Database(inner) => {
                of_code(&inner.code().unwrap_or_default(), inner.message())
            }
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Io(_) => Error::Unavailable(error.to_string()),
            _ => Error::Database(error.to_string()),
        }
    }
}

/// PostgreSQL's codes have five characters, SQLite's are shorter numbers.
fn of_code(code: &str, message: &str) -> Error {
    if code.len() == 5 {
        return match code {
            PG_DISK_FULL => Error::Full,
            _ if PG_PASSING.contains(&&code[..2]) => Error::Unavailable(message.to_owned()),
            _ => Error::Database(message.to_owned()),
        };
    }
    match code.parse::<i32>().map(|code| code & 0xff) {
        // A full disk shows as a failed write, too.
        Ok(SQLITE_FULL | SQLITE_IOERR) => Error::Full,
        Ok(SQLITE_BUSY | SQLITE_LOCKED) => Error::Unavailable(message.to_owned()),
        _ => Error::Database(message.to_owned()),
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Corrupt(error.to_string())
    }
}
