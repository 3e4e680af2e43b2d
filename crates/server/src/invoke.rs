//! Runs functions: finds what is callable, checks, calls, records, retries.
//!
//! Sees the store, the seal and the engine contract; knows no HTTP and no concrete engine. A
//! blocking run touches memory only; a non-blocking one is durable before it is acknowledged.

pub mod engines;
pub mod json;
pub mod request;
pub mod schema;
pub mod settings;

mod backoff;
mod cache;
mod context;
mod detach;
mod timestamp;

pub use engines::Engines;
pub use request::RunRequest;
pub use schema::Schema;
pub use settings::Settings;
