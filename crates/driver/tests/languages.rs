//! Languages as they are meant to be used: each function image's entry point, started as it stands
//! in its description, serves the Function Runtime API; and packages, installed by each language's
//! own tool from a mirror on loopback, are found by such an image.

#[path = "dependencies/bed.rs"]
mod bed;
#[path = "serve/conformance.rs"]
mod conformance;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/image.rs"]
mod image;
#[path = "dependencies/install.rs"]
mod install;
#[path = "serve/lambda.rs"]
mod lambda;
#[path = "serve/language.rs"]
mod language;
#[path = "dependencies/mirror.rs"]
mod mirror;
