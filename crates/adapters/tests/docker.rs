//! The `docker` engine, on Debian's Docker engine.

#[path = "docker/bed.rs"]
mod bed;
#[path = "docker/conformance.rs"]
mod conformance;
#[path = "docker/containers.rs"]
mod containers;
#[path = "docker/places.rs"]
mod places;
#[path = "docker/redirects.rs"]
mod redirects;
#[path = "docker/servers.rs"]
mod servers;
