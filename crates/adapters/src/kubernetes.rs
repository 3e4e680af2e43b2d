//! What the drivers of Kubernetes share: access to a cluster, its API, and one engine over
//! whatever kind of object a driver keeps there.
//!
//! A client of its own rather than the crate `kube`: that costs 80 CPU-seconds and 35 crates of a
//! cold build, and cannot send a body in parts, which calls through the API server's proxy are.

pub mod access;
pub mod cluster;
pub mod conditions;
mod exec;
pub mod failure;
pub mod foreign;
pub mod pod;
pub mod settings;
mod wait;
