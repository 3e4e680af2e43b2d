//! Python and JavaScript handlers as components, where the tools that make them are installed.
//!
//! The tools run a handler's file once, inside wasm, and keep the memory it leaves: calls begin
//! with the interpreter started and the module loaded.

mod javascript;
mod python;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dispatch_driver::{Deployment, Error, Result};
use dispatch_model::code;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::config::WasmConfig;
use super::source;
use crate::archive;

const WORLD: &str = include_str!("../../../../wit/dispatch-function/world.wit");
/// Of what a tool says, as much as an error message can bear: the end, where the cause stands.
const MAX_MESSAGE_CHARS: usize = 2_000;

/// The tools found at start.
pub struct Interpreters {
    python: Option<python::Tool>,
    javascript: Option<javascript::Tool>,
    timeout: Duration,
}

/// A folder for one build, deleted with it.
struct Workshop {
    folder: tempfile::TempDir,
    timeout: Duration,
}

impl Interpreters {
    pub fn find(config: &WasmConfig) -> Self {
        Self {
            python: python::Tool::find(&config.tools_dir),
            javascript: javascript::Tool::find(&config.tools_dir),
            timeout: Duration::from_secs(config.build_timeout_s),
        }
    }

    pub fn languages(&self) -> Vec<String> {
        let python = self.python.as_ref().map(|_| python::LANGUAGE);
        let javascript = self.javascript.as_ref().map(|_| javascript::LANGUAGE);
        python.into_iter().chain(javascript).map(str::to_owned).collect()
    }

    /// A sentence for each tool that was not found.
    pub fn missing(&self) -> Vec<String> {
        let languages = [python::LANGUAGE, javascript::LANGUAGE];
        languages.into_iter().filter_map(|l| self.needs(l)).map(str::to_owned).collect()
    }

    /// What is not there that a language needs.
    pub fn needs(&self, language: &str) -> Option<&'static str> {
        match language {
            python::LANGUAGE if self.python.is_none() => Some(python::MISSING),
            javascript::LANGUAGE if self.javascript.is_none() => Some(javascript::MISSING),
            _ => None,
        }
    }

    /// Changes when components of a language must be made anew.
    pub fn version(&self, language: &str) -> String {
        let host = match language {
            python::LANGUAGE => python::HOST,
            javascript::LANGUAGE => javascript::HOST,
            _ => return String::new(),
        };
        let mut hasher = Sha256::new();
        hasher.update(host);
        hasher.update(WORLD);
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// # Errors
    /// `Fault::Caller` with the tool's words when the handler does not load, or saying what to
    /// install when there is no tool.
    pub async fn componentize(&self, deployment: &Deployment, source: &[u8]) -> Result<Vec<u8>> {
        let absent = |what: &str| Error::caller(code::ENGINE001, what.to_owned());
        let shop = Workshop::new(self.timeout).map_err(ours)?;
        let (handler, out) = (deployment.handler.as_str(), shop.path("component.wasm"));
        std::fs::write(shop.path("world.wit"), WORLD).map_err(ours)?;
        match deployment.language.as_str() {
            python::LANGUAGE => {
                let tool = self.python.as_ref().ok_or_else(|| absent(python::MISSING))?;
                tool.run(&shop, handler, source).await?;
            }
            javascript::LANGUAGE => {
                let tool = self.javascript.as_ref().ok_or_else(|| absent(javascript::MISSING))?;
                tool.run(&shop, handler, source).await?;
            }
            other => {
                let message = format!("the wasm engine does not run {other:?}");
                return Err(Error::caller(code::ENGINE001, message));
            }
        }
        tokio::fs::read(out).await.map_err(ours)
    }
}

impl Workshop {
    fn new(timeout: Duration) -> std::io::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, timeout })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The source as a folder; a source that is one file gets the name given.
    fn unpack(&self, source: &[u8], single: &str) -> Result<PathBuf> {
        let folder = self.path("source");
        if archive::is_archive(source) {
            source::unpack(source, &folder)?;
        } else {
            std::fs::create_dir(&folder).map_err(ours)?;
            std::fs::write(folder.join(single), source).map_err(ours)?;
        }
        Ok(folder)
    }

    /// Runs a tool with nothing of the server's environment, and not for ever.
    async fn run(&self, program: &Path, arguments: &[&Path]) -> Result<()> {
        let folder = self.folder.path();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(self.timeout, command.output()).await;
        let Ok(output) = ended else {
            let seconds = self.timeout.as_secs();
            return Err(does_not_load(&format!("loading it took more than {seconds} s")));
        };
        let output = output.map_err(ours)?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(does_not_load(String::from_utf8_lossy(&said).trim()))
    }
}

fn does_not_load(said: &str) -> Error {
    let skip = said.chars().count().saturating_sub(MAX_MESSAGE_CHARS);
    let end: String = said.chars().skip(skip).collect();
    Error::caller(code::ENGINE003, format!("the handler does not load: {end}"))
}

fn ours(error: std::io::Error) -> Error {
    Error::ours(code::ENGINE006, format!("making a component: {error}"))
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
