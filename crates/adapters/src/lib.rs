//! Drivers of foreign systems: one module and one cargo feature each. A driver implements one
//! contract of `dispatch-driver` and passes that contract's conformance suite.

mod client;
pub mod engine;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod runtime;
