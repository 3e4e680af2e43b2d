//! Which database a test's server has: SQLite in its data directory, or one of a PostgreSQL server
//! that all tests of the process share.

use dispatch_store::testing::postgres;

/// What the HTTP tests run on: `sqlite` (also when it is not set) or `postgres`.
const CHOICE: &str = "DISPATCH_TEST_DATABASE";

/// A database of its own for one test.
#[derive(Debug, Clone, Default)]
pub struct Database {
    url: Option<String>,
}

impl Database {
    pub fn sqlite() -> Self {
        Self::default()
    }

    /// One that is there already.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()) }
    }

    /// A fresh one on PostgreSQL; none, said loudly, where that is not installed.
    pub async fn postgres() -> Option<Self> {
        Some(Self { url: Some(postgres()?.database().await) })
    }

    /// Both kinds, as far as they are there.
    pub async fn both() -> Vec<Self> {
        [Some(Self::sqlite()), Self::postgres().await].into_iter().flatten().collect()
    }

    /// The kind the environment asks for.
    pub async fn chosen() -> Self {
        match std::env::var(CHOICE).as_deref() {
            Err(_) | Ok("sqlite") => Self::sqlite(),
            Ok("postgres") => Self::postgres().await.expect("PostgreSQL, which is asked for"),
            Ok(other) => panic!("{CHOICE}={other}: sqlite or postgres"),
        }
    }

    /// As `server.database` says it: empty for SQLite in the data directory.
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or_default()
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.is_none()
    }
}
