//! `cargo xtask test`: house rules, then every test of the workspace.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::{demo, ordinary, setup, shell, tidy, walls};

#[derive(Args)]
pub struct Arguments {
    /// Only tests whose name holds this; setup and house rules are left out then.
    filter: Option<String>,
}

impl Arguments {
    pub fn everything() -> Self {
        Self { filter: None }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let began = Instant::now();
    let missing = if arguments.filter.is_none() { prepare()? } else { Vec::new() };
    shell::say("building");
    demo::build()?;
    shell::say("testing");
    let postgres = !missing.contains(&"postgresql");
    shell::run(&mut tests(arguments, postgres, &[]))?;
    if postgres {
        shell::say("testing the API again, on PostgreSQL");
        let mut again = tests(arguments, postgres, &["--test=http"]);
        // These wait for the server most of the time, so that more of them fit beside each other.
        let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        again.env("RUST_TEST_THREADS", threads.to_string());
        shell::run(again.env("DISPATCH_TEST_DATABASE", "postgres"))?;
    }
    ordinary::run(arguments.filter.as_deref())?;
    for name in missing {
        println!("could not run: tests that need the Debian package {name}");
    }
    shell::say(&format!("all tests passed in {} s", began.elapsed().as_secs()));
    Ok(())
}

/// `cargo test` for the tests a user asked for, with what they need to know.
fn tests(arguments: &Arguments, postgres: bool, which: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(shell::root()).args(["test", "--no-fail-fast", "--workspace"]).args(which);
    if postgres {
        cargo.env("DISPATCH_TEST_REQUIRE_POSTGRES", "1");
    }
    cargo.env("DISPATCH_WASM__TOOLS_DIR", setup::tools());
    cargo.env("DISPATCH_TEST_TOOLS_DIR", setup::tools());
    cargo.env("DISPATCH_TEST_BINARIES", shell::target().join("debug"));
    if let Some(filter) = &arguments.filter {
        cargo.args(["--", filter]);
    }
    cargo
}

fn prepare() -> Result<Vec<&'static str>> {
    let missing = setup::run(setup::For::Tests)?;
    shell::say("house rules");
    tidy::run()?;
    walls::run()?;
    let mut fmt = Command::new(env!("CARGO"));
    shell::run(fmt.current_dir(shell::root()).args(["fmt", "--all", "--check"]))?;
    Ok(missing.0)
}
