//! The process engine with real sandboxes and real interpreters.

#[path = "process/bed.rs"]
mod bed;
#[path = "process/broken.rs"]
mod broken;
#[path = "process/conformance.rs"]
mod conformance;
#[path = "process/copies.rs"]
mod copies;
#[path = "process/egress.rs"]
mod egress;
#[path = "process/fault.rs"]
mod fault;
#[path = "process/image.rs"]
mod image;
#[path = "process/isolation.rs"]
mod isolation;
#[path = "process/language.rs"]
mod language;
#[path = "process/layers.rs"]
mod layers;
#[path = "process/packages.rs"]
mod packages;
#[path = "process/pool.rs"]
mod pool;
#[path = "process/room.rs"]
mod room;
#[path = "process/source.rs"]
mod source;
#[path = "process/task.rs"]
mod task;
#[path = "support/web.rs"]
mod web;
