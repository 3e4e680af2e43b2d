//! `cargo xtask`: sets up, demonstrates, tests, measures and checks Dispatch.

mod bench;
mod check;
mod demo;
mod ordinary;
mod server;
mod setup;
mod shell;
mod simulate;
mod test;
mod tidy;
mod walls;

use clap::{Parser, Subcommand};

/// Project automation; every command installs or names what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what tests and the demo need (Debian packages, PyPI, npm), or says how to.
    Setup,
    /// Builds, starts Dispatch on embedded defaults, deploys the examples and calls them.
    Demo(demo::Arguments),
    /// Sets up what is missing and runs the whole suite.
    Test(test::Arguments),
    /// Measures Dispatch beside baselines in the same run and prints a table.
    Bench(bench::Arguments),
    /// Runs the real placement against a simulated fleet: outages, herds, brown-outs, bursts.
    Simulate(simulate::Arguments),
    /// Formatting, clippy, house rules, walls, generated files and tests.
    Check,
}

fn main() {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::run(setup::For::Tests).map(|_| ()),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Check => check::run(),
    };
    if let Err(error) = outcome {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}
