//! The built `dispatch` against the built server: every word of v1 that this version has, and what
//! was added. One file for each group of commands.

mod audit;
mod bench;
mod complete;
mod context;
mod create;
mod documents;
mod engine;
mod errors;
mod exec;
mod get;
mod iam;
mod init;
mod inspection;
mod secret;
mod server;
mod version;
