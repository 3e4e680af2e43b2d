//! Embedded engines: wasm components in this process, and processes in sandboxes.

pub mod archive;
pub mod process;
pub mod wasm;
