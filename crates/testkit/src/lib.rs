//! A Dispatch server in a test: started in this process or as one of its own, on free ports with
//! its own directory and database, and called over HTTP like any other.

mod answer;
mod cli;
mod client;
mod database;
mod process;
mod server;

pub use answer::Answer;
pub use cli::{Cli, Outcome};
pub use client::{Client, eventually, eventually_within, send};
pub use database::Database;
pub use process::{Environment, Process, binary, server_binary};
pub use server::{Options, Server};
