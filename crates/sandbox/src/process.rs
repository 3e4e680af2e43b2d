//! The process engine: handlers in sandboxed processes of this machine's interpreters.
//!
//! A worker is made by carrying out a [`plan`]: namespaces, a read-only root of its own, an
//! unprivileged user, Landlock, seccomp, limits. Python workers are forked from a warm interpreter
//! that waits inside a sandbox itself, one ahead of need; the others are started by an [`init`]
//! process, which is this binary re-executed. The server talks to workers in frames
//! (`runtimes/PROTOCOL.md`).

mod apart;
mod bridge;
mod cgroup;
mod command;
mod config;
mod control;
mod deployed;
mod ending;
mod engine;
mod failure;
mod filter;
mod frame;
mod host;
mod image;
mod init;
mod java;
mod landlock;
mod language;
mod log;
mod network;
mod plan;
mod pool;
mod probe;
mod root;
mod source;
mod start;
mod steps;
mod tree;
mod wires;
mod worker;
mod workshop;

pub use config::ProcessConfig;
pub use engine::ProcessEngine;
pub use host::{HostLanguage, host_languages};
pub use init::{init_main, maybe_run_init};
