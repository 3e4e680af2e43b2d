//! Drivers of foreign systems: one module and one cargo feature each. A driver implements one
//! contract of `dispatch-driver` and passes that contract's conformance suite.

pub mod engine;
mod runtime;
