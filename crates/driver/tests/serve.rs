//! Function images: each language's entry point, started as it stands in its description, serves
//! the Function Runtime API.

#[path = "serve/conformance.rs"]
mod conformance;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/image.rs"]
mod image;
#[path = "serve/language.rs"]
mod language;
