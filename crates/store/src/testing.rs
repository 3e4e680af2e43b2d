//! What tests need: a PostgreSQL server, a disk that can be filled, and a store that fails when it
//! is told to. Not part of a production build.

mod disk;
mod faults;
mod postgres;

pub use disk::SmallDisk;
pub use faults::Faults;
pub(crate) use faults::point;
pub use postgres::{Postgres, postgres};

use crate::database::write;
use crate::{Result, Store};

impl Store {
    /// Runs a statement as somebody would who has the database to himself; returns how many rows it
    /// touched.
    pub async fn tamper(&self, sql: &'static str) -> Result<u64> {
        Ok(write!(&self.0.database, |tx| sqlx::query(sql).execute(tx).await?.rows_affected()))
    }
}
