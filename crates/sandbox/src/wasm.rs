//! The wasm engine: functions as components, a fresh instance for every call.
//!
//! A component exports either `handle` of the world `dispatch:function/function` (see `wit/`) or
//! `wasi:http/incoming-handler`. Python and JavaScript handlers are made into components of the
//! first kind when they are built.
//!
//! What the design leans on: compiled code is mapped from a file, so an instance costs a slot of
//! the pooling allocator and copy-on-write pages; calls run on fibers that yield to the async
//! runtime at every tick of an epoch, so a guest that computes for long starves nobody; a call
//! ends at its deadline wherever it is.

mod bindings;
mod cache;
mod call;
mod component;
mod config;
mod deployed;
mod egress;
mod engine;
mod failure;
mod guest;
mod http_call;
mod http_client;
mod interpreter;
mod json;
mod output;
mod program;
mod runtime;
mod source;

pub use config::WasmConfig;
pub use engine::WasmEngine;
pub use program::Program;
