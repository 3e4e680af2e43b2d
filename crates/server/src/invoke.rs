//! Runs functions: finds what is callable, checks, calls, records, retries.
//!
//! Sees the store, the seal and the engine contract; knows no HTTP and no concrete engine. A
//! blocking run touches memory only; a non-blocking one is durable before it is acknowledged.

pub mod deployment;
pub mod engine_maker;
pub mod engines;
pub mod json;
pub mod request;
pub mod schema;
pub mod settings;

mod active;
mod attempt;
mod backoff;
mod cache;
mod callable;
mod changes;
mod context;
mod detach;
mod ensuring;
mod explain;
mod invoker;
mod loader;
pub mod member;
mod meter;
mod metrics;
mod perform;
mod permits;
mod placed;
mod places;
mod placing;
mod queue;
mod retention;
mod secrets;
mod tags;
mod tenant;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timestamp;
pub mod usage;
mod worker;

pub use engine_maker::EngineMaker;
pub use engines::Engines;
pub use invoker::Invoker;
pub use member::Member;
pub use metrics::RunMetrics;
pub use placed::{GRACE, retire};
pub use placing::{Placing, effective, unknown};
pub use request::{IDEMPOTENCY_KEY, RunRequest};
pub use schema::Schema;
pub use secrets::{OpenSealed, Values};
pub use settings::Settings;
