//! A PostgreSQL server for a test, where there is one.

use dispatch_store::testing::Postgres;

/// `None` when it is not installed, which is said; a failure where it is required.
pub fn start() -> Option<Postgres> {
    match Postgres::start() {
        Ok(postgres) => Some(postgres),
        Err(missing) => {
            let required = std::env::var_os("DISPATCH_TEST_REQUIRE_POSTGRES").is_some();
            assert!(!required, "{missing}");
            eprintln!("could not run: {missing}");
            None
        }
    }
}
