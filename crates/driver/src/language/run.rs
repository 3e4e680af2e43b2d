//! How a handler is started: as a worker of the process engine, and as a function image.

use serde::Deserialize;

use super::template::{fill, fill_all};
use super::{FUNCTION_AT, HOST_AT, PACKAGES_AT, Values};

/// A worker of the process engine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    #[serde(default)]
    pub start: Start,
    /// Words with [`RUN`]'s placeholders.
    #[serde(default)]
    pub command: Vec<String>,
    /// Whether a limit on its addresses may stand in for one on its memory. Not for programs that
    /// reserve far more than they use.
    #[serde(default = "yes")]
    pub address_space: bool,
    /// Beside a function's source: what its host had kept for later workers. May have `{version}`.
    #[serde(default)]
    pub keep: Option<String>,
}

/// How workers come to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The command becomes the worker.
    #[default]
    Exec,
    /// The command waits warm, and forks workers when it is told to.
    Fork,
    /// The command becomes the worker too, but the host is Java's: it is compiled to
    /// `{host}/host.jar` before, and `{host}/host.jsa` is an archive of what a start needs.
    Jar,
    /// The engine itself starts or calls an executable of the function.
    Bridge,
}

/// Placeholders of a worker's command.
pub const RUN: &[&str] = &["interpreter", "host", "version", "memory_mib", "heap_mib", PROXY];
/// A word of its own; becomes any number of words.
pub const PROXY: &str = "proxy_properties";
/// Placeholders of a function image's commands.
pub const SERVE: &[&str] = &["interpreter", "host", "function", "packages", EXECUTABLE];
/// The path of an executable that serves HTTP itself.
pub const EXECUTABLE: &str = "executable";
/// Before the path of such an executable, in a handler.
const HTTP: &str = "http:";

fn yes() -> bool {
    true
}

/// What a worker's command is filled in with.
#[derive(Debug)]
pub struct RunValues<'a> {
    /// Path of the interpreter.
    pub interpreter: &'a str,
    /// Directory of the host's files.
    pub host: &'a str,
    pub version: &'a str,
    pub memory_mib: u64,
    /// Java's properties of a proxy; empty without one.
    pub proxy_properties: Vec<String>,
}

impl Run {
    /// The command of a worker.
    pub fn command(&self, values: &RunValues<'_>) -> Vec<String> {
        let memory = values.memory_mib.to_string();
        // The rest is for what is not the handler's heap.
        let heap = (values.memory_mib * 3 / 4).to_string();
        let known = Values::from([
            ("interpreter", values.interpreter),
            ("host", values.host),
            ("version", values.version),
            ("memory_mib", &memory),
            ("heap_mib", &heap),
        ]);
        let proxy = format!("{{{PROXY}}}");
        let words = self.command.iter().flat_map(|word| match *word == proxy {
            true => values.proxy_properties.clone(),
            false => vec![fill(word, &known)],
        });
        words.collect()
    }

    /// Name of the file of what hosts had kept.
    pub fn keep(&self, version: &str) -> Option<String> {
        self.keep.as_ref().map(|name| fill(name, &Values::from([("version", version)])))
    }
}

/// A function image.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    /// Its entry point: words with [`SERVE`]'s placeholders.
    pub command: Vec<String>,
    /// Commands that are run once when the image is made.
    #[serde(default)]
    prepare: Vec<Vec<String>>,
}

impl Serve {
    pub(super) fn commands(&self) -> impl Iterator<Item = &Vec<String>> {
        self.prepare.iter()
    }

    pub(super) fn prepare(&self, interpreter: &str) -> Vec<Vec<String>> {
        let values = values(interpreter, "");
        self.prepare.iter().map(|command| fill_all(command, &values)).collect()
    }

    pub(super) fn entry_point(
        &self,
        language: &str,
        interpreter: &str,
        handler: &str,
    ) -> Result<Vec<String>, String> {
        let executable = format!("{{{EXECUTABLE}}}");
        let mut path = String::new();
        if self.command.iter().any(|word| word.contains(&executable)) {
            let served = handler.strip_prefix(HTTP).map(|path| path.trim_start_matches("./"));
            let served = served.filter(|path| is_below(path)).ok_or_else(|| {
                format!(
                    "the handler {handler:?} of a {language} function reads its standard input, \
                     so nothing in an image of its own could serve it; have the executable serve \
                     the Function Runtime API and write `{HTTP}./PROGRAM`"
                )
            })?;
            path = format!("{FUNCTION_AT}/{served}");
        }
        Ok(fill_all(&self.command, &values(interpreter, &path)))
    }
}

fn is_below(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

fn values<'a>(interpreter: &'a str, executable: &'a str) -> Values<'a> {
    Values::from([
        ("interpreter", interpreter),
        ("host", HOST_AT),
        ("function", FUNCTION_AT),
        ("packages", PACKAGES_AT),
        (EXECUTABLE, executable),
    ])
}
