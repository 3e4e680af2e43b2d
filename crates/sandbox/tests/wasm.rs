//! The wasm engine against real components: what they answer, and how they fail.

mod support {
    pub mod wasm;
}

#[path = "wasm/calls.rs"]
mod calls;
#[path = "wasm/cache.rs"]
mod cache;
#[path = "wasm/http.rs"]
mod http;
#[path = "wasm/interpreters.rs"]
mod interpreters;
