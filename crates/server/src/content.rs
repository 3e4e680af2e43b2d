//! Content: base images fetched, images and functions' images built, looked into, kept and pruned.
//!
//! Controllers ask for what a resource is to be made of; this room binds the store (what is known),
//! the content on disk (what is there) and the workshop (what builds it). It changes no resource.

mod settings;

pub use settings::Settings;
