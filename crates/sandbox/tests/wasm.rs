//! The wasm engine against real components: what they answer, and how they fail.

#[path = "support"]
mod support {
    pub mod wasm;
    pub mod web;
}

#[path = "wasm/cache.rs"]
mod cache;
#[path = "wasm/calls.rs"]
mod calls;
#[path = "wasm/http.rs"]
mod http;
#[path = "wasm/interpreters.rs"]
mod interpreters;
