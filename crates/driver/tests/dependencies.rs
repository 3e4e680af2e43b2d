//! Packages, installed by each language's own tool from a mirror on loopback, and used by a
//! function image.

#[path = "dependencies/bed.rs"]
mod bed;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/image.rs"]
mod image;
#[path = "dependencies/install.rs"]
mod install;
#[path = "dependencies/mirror.rs"]
mod mirror;
