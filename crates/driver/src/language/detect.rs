//! How a machine is asked whether it has a language.

use serde::Deserialize;

/// A program that is started to tell where the language's interpreter is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Looked for in `PATH`.
    pub program: String,
    /// With them it prints three lines: the interpreter's path, the directory it needs besides
    /// the system's, and its version. With `interpreter` one line, whose last word is the version.
    pub arguments: Vec<String>,
    /// The interpreter's path below the program's home: the directory above the one the program
    /// is in, no link.
    #[serde(default)]
    pub interpreter: Option<String>,
}

impl Detect {
    /// What the interpreter is called.
    pub fn interpreter_name(&self) -> &str {
        let path = self.interpreter.as_deref().unwrap_or(&self.program);
        path.rsplit('/').next().unwrap_or(path)
    }
}
