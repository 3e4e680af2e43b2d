//! Decisions as a server sees them, through what the crate shows.

#[path = "it/decisions.rs"]
mod decisions;
#[path = "it/explained.rs"]
mod explained;
#[path = "it/page.rs"]
mod page;
#[path = "it/properties.rs"]
mod properties;
#[path = "it/rig.rs"]
mod rig;
#[path = "it/threads.rs"]
mod threads;
