//! The `dispatch` command: v1's words, with what was added to them.
//!
//! Depends on the wire only: no SQL, no engine. All output goes through [`printer::Printer`].

mod address;
mod arguments;
mod command;
mod complete;
mod config;
mod connect;
mod document;
mod hint;
mod key_pair;
mod later;
mod noun;
mod pack;
mod printer;
mod progress;
mod scaffold;
mod secret_file;
mod table;
mod time;
mod usage;
mod value;
mod wait;

use clap::Parser as _;

use arguments::Arguments;

fn main() {
    complete::answer();
    let arguments =
        Arguments::try_parse().unwrap_or_else(|error| std::process::exit(usage::report(&error)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(command::run(arguments)),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = outcome {
        printer::error(&error);
        std::process::exit(1);
    }
}
