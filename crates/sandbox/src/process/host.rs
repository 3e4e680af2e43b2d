//! The interpreters of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

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
}

/// A shim of a version manager may take this long, but no longer.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// How an interpreter tells where it lives: it prints its path, its prefix and its version.
struct Question {
    language: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

/// It has to be a development kit: functions come as source.
const JAVA: &str = "javac";

const QUESTIONS: &[Question] = &[
    Question {
        language: "python3",
        program: "python3",
        arguments: &[
            "-I",
            "-c",
            "import sys,os,platform\nprint(os.path.realpath(sys.executable), sys.base_prefix, \
             platform.python_version(), sep='\\n')",
        ],
    },
    Question {
        language: "nodejs",
        program: "node",
        arguments: &[
            "-e",
            "const p=require('fs').realpathSync(process.execPath);\
             console.log(p+'\\n'+require('path').dirname(require('path').dirname(p))+'\\n'\
             +process.versions.node)",
        ],
    },
    Question {
        language: "ruby",
        program: "ruby",
        arguments: &[
            "-e",
            "require 'rbconfig'; puts File.realpath(RbConfig.ruby), RbConfig::CONFIG['prefix'], \
             RUBY_VERSION",
        ],
    },
    Question {
        language: "php",
        program: "php",
        arguments: &[
            "-n",
            "-r",
            "echo realpath(PHP_BINARY), \"\\n\", dirname(PHP_BINARY, 2), \"\\n\", PHP_VERSION;",
        ],
    },
    Question {
        language: "powershell",
        program: "pwsh",
        arguments: &[
            "-NoProfile",
            "-Command",
            "(Get-Process -Id $PID).Path; $PSHOME; $PSVersionTable.PSVersion.ToString()",
        ],
    },
];

/// The program that has to be there for a language.
pub fn program(language: &str) -> Option<&'static str> {
    let question = QUESTIONS.iter().find(|question| question.language == language);
    question.map(|question| question.program).or((language == "java").then_some(JAVA))
}

/// Finds every language of this machine; asks the interpreters, so it takes some 100 ms.
pub async fn host_languages() -> Vec<HostLanguage> {
    let asked = futures::future::join_all(QUESTIONS.iter().map(find)).await;
    let mut found: Vec<_> = asked.into_iter().flatten().collect();
    found.extend(java().await);
    found.push(HostLanguage {
        language: "binary".to_owned(),
        interpreter: PathBuf::new(),
        version: std::env::consts::ARCH.to_owned(),
        prefixes: Vec::new(),
    });
    found
}

async fn find(question: &Question) -> Option<HostLanguage> {
    for program in in_path(question.program) {
        let Some(answer) = ask(&program, question.arguments).await else { continue };
        let mut lines = answer.lines().map(str::trim);
        let (Some(path), Some(prefix), Some(version)) = (lines.next(), lines.next(), lines.next())
        else {
            continue;
        };
        return Some(HostLanguage {
            language: question.language.to_owned(),
            interpreter: PathBuf::from(path),
            version: version.to_owned(),
            prefixes: vec![PathBuf::from(prefix)],
        });
    }
    None
}

async fn java() -> Option<HostLanguage> {
    for program in in_path(JAVA) {
        let Ok(program) = program.canonicalize() else { continue };
        let Some(home) = program.parent().and_then(Path::parent) else { continue };
        let Some(answer) = ask(&program, &["-version"]).await else { continue };
        return Some(HostLanguage {
            language: "java".to_owned(),
            interpreter: home.join("bin/java"),
            version: answer.trim().trim_start_matches("javac ").to_owned(),
            prefixes: vec![home.to_owned()],
        });
    }
    None
}

fn in_path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut found: Vec<_> = std::env::split_paths(&path).map(|d| d.join(program)).collect();
    found.retain(|p| p.is_file());
    found
}

async fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ASK_TIMEOUT, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
