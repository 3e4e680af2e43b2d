//! All output: results on stdout, progress, warnings and errors on stderr. Most of it is a server's
//! text: it steers no terminal.

mod plain;

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use dispatch_wire::client;
use serde_json::Value;

use crate::hint::Wrong;

pub use plain::{one_line, plain};

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    /// A table with more columns
    Wide,
    Json,
    Yaml,
    /// Names only
    Name,
    /// Comma-separated values, of usage
    Csv,
}

/// Prints results in the format asked for.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    pub format: Format,
}

impl Printer {
    /// Whether results are for programs rather than people.
    pub fn is_structured(self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// A value as JSON or YAML.
    pub fn value(self, value: &Value) -> Result<()> {
        if self.format != Format::Yaml {
            return json(value);
        }
        let text = serde_saphyr::to_string(value)?;
        // YAML has no escapes outside of quotes: what a program reads stays as it is.
        match std::io::stdout().is_terminal() {
            true => line(text.trim_end()),
            false => bytes(text.as_bytes()),
        }
        Ok(())
    }

    /// A line for people; nothing when programs read.
    pub fn say(self, text: &str) {
        if !self.is_structured() {
            line(text);
        }
    }
}

/// A value as JSON on stdout.
pub fn json(value: &Value) -> Result<()> {
    line(&plain::json(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// A line on stdout. A reader that closed the pipe ends the command quietly, as in other tools.
pub fn line(text: &str) {
    if writeln!(std::io::stdout(), "{}", plain(text)).is_err() {
        std::process::exit(0);
    }
}

/// A line that somebody's code wrote, on stdout: a file or a pipe gets it as it is.
pub fn foreign_line(text: &str) {
    match std::io::stdout().is_terminal() {
        true => line(text),
        false => bytes(format!("{text}\n").as_bytes()),
    }
}

/// Lines of JSON on stdout as they come, in pieces: a file or a pipe gets them as they are.
pub struct JsonLines {
    to_terminal: bool,
    begun: Vec<u8>,
}

impl JsonLines {
    pub fn new() -> Self {
        Self { to_terminal: std::io::stdout().is_terminal(), begun: Vec::new() }
    }

    pub fn piece(&mut self, piece: &[u8]) {
        if !self.to_terminal {
            return bytes(piece);
        }
        self.begun.extend_from_slice(piece);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = self.begun.drain(..=end).collect();
            line(&plain::json(String::from_utf8_lossy(&whole).trim_end()));
        }
    }

    /// What is left, if the last line has no end.
    pub fn end(self) {
        if !self.begun.is_empty() {
            line(&plain::json(&String::from_utf8_lossy(&self.begun)));
        }
    }
}

/// Bytes on stdout as they are; quiet about a closed pipe, too.
pub fn bytes(bytes: &[u8]) {
    if std::io::stdout().write_all(bytes).is_err() {
        std::process::exit(0);
    }
}

/// Something the user should know, on stderr.
pub fn warning(text: &str) {
    eprintln!("warning: {}", plain(text));
}

/// What is being waited for, on stderr.
pub fn progress(text: &str) {
    eprintln!("{}", plain(text));
}

/// An error with its causes, and what to do about it.
pub fn error(error: &anyhow::Error) {
    let label = if std::io::stderr().is_terminal() { "\x1b[31mError:\x1b[0m" } else { "Error:" };
    eprintln!("{label} {}", plain(&error.to_string()));
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {}", plain(&cause.to_string()));
    }
    let hint = |text: &str| eprintln!("hint: {}", plain(text));
    let causes = || error.chain().filter_map(|cause| cause.downcast_ref::<Wrong>());
    // What was said about an error from outside is no cause of its own.
    let outermost = error.downcast_ref::<Wrong>().filter(|_| causes().next().is_none());
    outermost.into_iter().chain(causes()).for_each(|wrong| hint(&wrong.hint));
    for cause in error.chain() {
        let hints = cause.downcast_ref::<client::Error>().map(client::Error::hints);
        hints.into_iter().flatten().for_each(|text| hint(&text));
    }
}
