//! Foreign systems as tests start them: real ones where a package carries them, on loopback and in
//! temporary directories; else small servers that speak the true protocol and really run functions.
//! Knows nothing of the Dispatch server.

pub mod aws;
pub mod certificates;
pub mod containers;
pub mod debian;
pub mod docker;
mod expansion;
pub mod function_image;
mod group;
pub mod identity;
pub mod image;
pub mod kubernetes;
pub mod openfaas;
pub mod openwhisk;
pub mod programs;
pub mod registry;
pub mod remote_engine;
mod running;
pub mod vault;
