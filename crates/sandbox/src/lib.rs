//! Embedded engines: wasm components in this process, and processes in sandboxes.

pub mod archive;
mod egress;
pub mod process;
pub mod wasm;
