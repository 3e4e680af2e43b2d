//! Languages: what is known of each, as data. A language is a folder with a `language.toml` and
//! the files of its host; `docs/guides/languages.md` describes it for operators.
//!
//! Engines read here how a worker is started, image building how dependencies are installed and
//! what a function image's entry point is. What a language's interpreter cannot be told in words
//! (forking, the bridge of executables, Java's archive) is the engine's own.

mod builtin;
mod check;
pub mod dependencies;
mod detect;
mod languages;
mod run;
mod source;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

pub use check::LanguageError;
pub use dependencies::{Dependencies, Manifest};
pub use detect::Detect;
pub use languages::Languages;
pub use run::{Run, RunValues, Serve, Start};
pub use source::{Source, SourceName};

/// Where a function image has the files of its host.
pub const HOST_AT: &str = "/opt/dispatch/host";
/// Where an image has the packages that were installed for its language.
pub const PACKAGES_AT: &str = "/opt/dispatch/packages";
/// Where a function image, and a worker of the process engine, has the function's source.
pub const FUNCTION_AT: &str = "/function";

/// One language, as its `language.toml` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// As images spell it: lower-case letters, digits and hyphens, 63 at most.
    pub name: String,
    /// Whether it may take the place of a built-in language of that name.
    #[serde(default)]
    pub replaces: bool,
    /// Names of the host's files, which lie beside the description.
    #[serde(rename = "files")]
    names: Vec<String>,
    /// What is in them, in the same order.
    #[serde(skip)]
    pub files: Vec<HostFile>,
    /// `None`: it needs no interpreter, so every machine has it.
    #[serde(default)]
    pub detect: Option<Detect>,
    pub source: Source,
    pub run: Run,
    pub serve: Serve,
    #[serde(default)]
    pub lambda: Option<Lambda>,
    #[serde(default)]
    pub dependencies: Option<Dependencies>,
}

/// How AWS Lambda's own runtime of a language calls a function.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lambda {
    /// As Lambda names it: `python3.13`.
    pub runtime: String,
    /// As Lambda names it, with the host's files at the top: `managed.handler`.
    pub handler: String,
}

/// A file of a language's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    pub name: String,
    pub text: Arc<str>,
}

/// What placeholders stand for.
type Values<'a> = BTreeMap<&'static str, &'a str>;

impl Language {
    /// The interpreter's name where it is found in `PATH`, as in an image; empty for languages
    /// without one.
    pub fn program(&self) -> &str {
        self.detect.as_ref().map_or("", Detect::interpreter_name)
    }

    /// The entry point of a function image: a program found in `PATH`, or an absolute path, with
    /// its arguments. It reads `PORT`, and `DISPATCH_HANDLER`, which is the handler.
    ///
    /// # Errors
    /// One sentence when functions of this kind cannot be images of their own: a `binary` that
    /// does not serve HTTP.
    pub fn entry_point(&self, handler: &str) -> Result<Vec<String>, String> {
        self.serve.entry_point(&self.name, self.program(), handler)
    }

    /// What has to be run once when a function image is made, with the host's files, the function
    /// and the packages in place and [`Language::running`] as its environment: commands that write
    /// below [`HOST_AT`] only.
    pub fn prepare(&self) -> Vec<Vec<String>> {
        self.serve.prepare(self.program())
    }

    /// Environment of handlers in images that have packages of this language.
    pub fn running(&self) -> Vec<(String, String)> {
        self.dependencies.as_ref().map(Dependencies::running).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
