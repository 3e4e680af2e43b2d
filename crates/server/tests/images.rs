//! Images made of real parts: a registry, a distribution with its package manager and its mirror,
//! and a container engine that knows nothing of Dispatch.

#[path = "images/base.rs"]
mod base;
#[path = "images/bed.rs"]
mod bed;
#[path = "images/container.rs"]
mod container;
#[path = "images/proxy.rs"]
mod proxy;
#[path = "images/published.rs"]
mod published;
#[path = "images/same.rs"]
mod same;
#[path = "images/system.rs"]
mod system;
