//! What tests need: a PostgreSQL server, a disk that can be filled, and a store that fails when it
//! is told to. Not part of a production build.

mod disk;
mod faults;
mod postgres;

pub use disk::SmallDisk;
pub use faults::Faults;
pub(crate) use faults::point;
pub use postgres::{Postgres, postgres};
