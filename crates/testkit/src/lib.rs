//! A Dispatch server in a test: started in this process on free ports with its own directory, and
//! called over HTTP like any other.

mod answer;
mod cli;
mod process;
mod server;

pub use answer::Answer;
pub use cli::{Cli, Outcome};
pub use process::{Process, binary, server_binary};
pub use server::{Options, Server, eventually, send};
