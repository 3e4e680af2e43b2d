//! The REST edge: paths, bodies, codes. Sees use cases only, no store and no engines.
//!
//! One file a noun, each with its handlers and `routes()`; what all of them need stands in `body`,
//! `query`, `reply`, `watch` and `error`.

pub mod api;
pub mod application;
pub mod audit;
pub mod base_image;
pub mod body;
pub mod caller;
pub mod content;
pub mod engine;
pub mod error;
pub mod function;
pub mod function_version;
pub mod health;
pub mod iam;
pub mod image;
pub mod image_policy;
pub mod image_upkeep;
pub mod measure;
pub mod openapi;
mod operations;
mod origin;
pub mod package;
pub mod query;
pub mod refused;
pub mod reply;
pub mod request_id;
pub mod root_key;
pub mod router;
pub mod run;
pub mod secret;
pub mod secret_version;
pub mod stream;
pub mod usage;
pub mod version;
pub mod vulnerability;
pub mod watch;

pub use body::Body;
pub use error::ApiResult;
pub use query::{ListParameters, One};
pub use router::router;
