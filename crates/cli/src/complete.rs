//! Completion of names: the shell calls the command, which asks the server for them.

use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _, ValueEnum as _};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCandidates, CompletionCandidate, Shell};
use dispatch_wire::client::Error;
use serde_json::Value;

use crate::arguments::{Arguments, Global};
use crate::command::{identity_provider, session};
use crate::connect;
use crate::noun::Noun;
use crate::printer::plain;

/// The variable by which a shell asks; not clap's own, which other programs use too.
const VARIABLE: &str = "DISPATCH_COMPLETE";
/// Longest a shell waits for the server, and how many names it is told.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST: usize = 1_000;

/// Answers a shell that completes a line, and ends the process; does nothing otherwise.
pub fn answer() {
    CompleteEnv::with_factory(Arguments::command).var(VARIABLE).complete();
}

/// Prints what a shell has to load so that it asks.
pub fn print_script(shell: Shell) -> Result<()> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let shell = shells.completer(&name).with_context(|| format!("{name} has no completions"))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "dispatch", "dispatch", "dispatch", &mut script)?;
    // A reader that left is no reason to fail.
    let _ = std::io::stdout().write_all(&script);
    Ok(())
}

/// Names of a kind.
pub fn names(noun: Noun) -> ArgValueCandidates {
    ArgValueCandidates::new(move || ask(noun.path()).unwrap_or_default())
}

/// Types of engines.
pub fn engine_types() -> ArgValueCandidates {
    ArgValueCandidates::new(|| ask("enginetype").unwrap_or_default())
}

/// Identity providers to sign in with, or to trust.
pub fn identity_providers() -> ArgValueCandidates {
    ArgValueCandidates::new(|| ask_for_providers().unwrap_or_default())
}

/// Names of the kind that the line speaks of: `get function ...`, `delete secret ...`.
pub fn names_by_line() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words = std::env::args().collect::<Vec<_>>();
        let path = words.iter().rev().find_map(|word| match word.as_str() {
            // No noun: a session is not written.
            "session" | "sessions" => Some(session::PATH),
            word => Noun::from_str(word, true).ok().map(Noun::path),
        });
        path.and_then(|path| ask(path).ok()).unwrap_or_default()
    })
}

/// Whatever goes wrong, there is nothing to complete with; a shell has no place for errors.
fn ask(path: &str) -> Result<Vec<CompletionCandidate>> {
    let client = connect::session(&global()?)?.client;
    candidates(async { client.list(path, &[], Some(MOST)).await })
}

/// Whoever signs in is not signed in yet: what is left of that does not matter.
fn ask_for_providers() -> Result<Vec<CompletionCandidate>> {
    let client = connect::stranger(&global()?)?.client;
    let list = client.get(identity_provider::PATH);
    candidates(async { Ok(list.await?.as_array().cloned().unwrap_or_default()) })
}

/// Of the line only the words before the one at hand are known, and not taken apart: the server is
/// the one of the environment and the configuration file.
fn global() -> Result<Global> {
    Ok(Arguments::try_parse_from(["dispatch", "logout"])?.global)
}

fn candidates(
    list: impl Future<Output = Result<Vec<Value>, Error>>,
) -> Result<Vec<CompletionCandidate>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let items = runtime.block_on(async { tokio::time::timeout(PATIENCE, list).await })??;
    let names = items.iter().filter_map(|item| item["name"].as_str());
    Ok(names.map(|name| CompletionCandidate::new(&*plain(name))).collect())
}
