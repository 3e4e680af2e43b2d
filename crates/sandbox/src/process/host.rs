//! The interpreters of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::language::{Detect, Language, Languages};
use serde::Serialize;
use tokio::sync::OnceCell;

/// A language this machine can run.
#[derive(Debug, Clone, Serialize)]
pub struct HostLanguage {
    pub language: String,
    /// The interpreter itself, no shim or link.
    pub interpreter: PathBuf,
    pub version: String,
    /// Directories it needs besides the system's.
    #[serde(skip)]
    pub prefixes: Vec<PathBuf>,
    /// What its description says.
    #[serde(skip)]
    pub rules: Arc<Language>,
    /// Filled when what its workers start from was made, where there is such a thing.
    #[serde(skip)]
    pub(super) prepared: Arc<OnceCell<()>>,
}

/// A shim of a version manager may take this long, but no longer.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// Finds every language of this machine; asks the interpreters, so it takes some 100 ms.
pub async fn host_languages(languages: &Languages) -> Vec<HostLanguage> {
    let asked = futures::future::join_all(languages.iter().map(find)).await;
    asked.into_iter().flatten().collect()
}

impl HostLanguage {
    /// One that needs no interpreter.
    pub(super) fn bare(rules: &Arc<Language>) -> Self {
        let version = std::env::consts::ARCH.to_owned();
        Self::new(rules, PathBuf::new(), version, Vec::new())
    }

    pub(super) fn new(
        rules: &Arc<Language>,
        interpreter: PathBuf,
        version: String,
        prefixes: Vec<PathBuf>,
    ) -> Self {
        let (language, rules, prepared) = (rules.name.clone(), rules.clone(), Arc::default());
        Self { language, interpreter, version, prefixes, rules, prepared }
    }
}

async fn find(rules: &Arc<Language>) -> Option<HostLanguage> {
    let Some(detect) = &rules.detect else { return Some(HostLanguage::bare(rules)) };
    for program in in_path(&detect.program) {
        let asked = match &detect.interpreter {
            Some(path) => by_home(&program, detect, path).await,
            None => by_word(&program, detect).await,
        };
        if let Some((interpreter, version, prefix)) = asked {
            return Some(HostLanguage::new(rules, interpreter, version, vec![prefix]));
        }
    }
    None
}

/// The interpreter, its version and its prefix, as the program prints them.
async fn by_word(program: &Path, detect: &Detect) -> Option<(PathBuf, String, PathBuf)> {
    let answer = ask(program, &detect.arguments).await?;
    let mut lines = answer.lines().map(str::trim);
    let (path, prefix, version) = (lines.next()?, lines.next()?, lines.next()?);
    let absolute = path.starts_with('/') && prefix.starts_with('/');
    absolute.then(|| (PathBuf::from(path), version.to_owned(), PathBuf::from(prefix)))
}

/// The same, of a program that only prints its version, beside which the interpreter is.
async fn by_home(
    program: &Path,
    detect: &Detect,
    interpreter: &str,
) -> Option<(PathBuf, String, PathBuf)> {
    let program = program.canonicalize().ok()?;
    let home = program.parent().and_then(Path::parent)?;
    let answer = ask(&program, &detect.arguments).await?;
    let version = answer.split_whitespace().last()?;
    Some((home.join(interpreter), version.to_owned(), home.to_owned()))
}

fn in_path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut found: Vec<_> = std::env::split_paths(&path).map(|d| d.join(program)).collect();
    found.retain(|p| p.is_file());
    found
}

async fn ask(program: &Path, arguments: &[String]) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ASK_TIMEOUT, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
