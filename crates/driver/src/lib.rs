//! The contracts between Dispatch and what it stands on, and the error they share.
//!
//! A driver implements one contract for one foreign (or embedded) system. Every contract has the
//! same shape: ensure, observe and remove are safe to repeat, because controllers call them blind.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
pub mod engine_type;
pub mod error;
pub mod identity;
pub mod image;
pub mod language;
pub mod secret_store;
pub mod setting;
pub mod source;
pub mod workshop;

pub use engine::{Call, Capabilities, Deployment, Engine, Health, Observed, Outcome, Phases};
pub use engine_type::{Beside, EngineType};
pub use error::{Error, Fault, Reached, Result, Retry, Scope};
pub use image::{ImageRoot, ImageStore};
pub use language::{Language, Languages};
pub use secret_store::{SecretRead, SecretReference, SecretStore, SecretValues};
pub use setting::{Config, Known, Setting, Value};
pub use source::SourceStore;
pub use workshop::{Interpreter, Task, TaskOutput, Workshop};
