//! The `dispatch` command: v1's words, with what was added to them.
//!
//! Depends on the wire only: no SQL, no engine. All output goes through [`printer::Printer`].

mod arguments;
mod command;
mod config;
mod connect;
mod document;
mod hint;
mod later;
mod noun;
mod pack;
mod printer;
mod progress;
mod scaffold;
mod table;
mod time;
mod usage;
mod value;
mod wait;

use clap::Parser as _;

use arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments =
        Arguments::try_parse().unwrap_or_else(|error| std::process::exit(usage::report(&error)));
    let outcome = command::run(arguments).await;
    if let Err(error) = outcome {
        printer::error(&error);
        std::process::exit(1);
    }
}
