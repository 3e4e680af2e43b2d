//! What a description must keep to, and the error that says where it does not.

use std::fmt::Display;

use super::dependencies;
use super::run::{EXECUTABLE, PROXY, RUN, SERVE, Start};
use super::{Dependencies, Language, template};

/// Longest name of a language, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// Files one host may have.
const MAX_FILES: usize = 64;
/// Names that mean something else.
const TAKEN: &[&str] = &["wasm"];
/// Names of files that are not a host's own: the description, and what Java's host is made into.
const DESCRIPTION: &str = "language.toml";

/// Why a language cannot be used: the file, the field, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {text}")]
pub struct LanguageError {
    pub file: String,
    pub text: String,
}

impl LanguageError {
    pub(super) fn new(file: impl Display, text: impl Display) -> Self {
        Self { file: file.to_string(), text: text.to_string() }
    }

    pub(super) fn field(file: impl Display, field: &str, text: impl Display) -> Self {
        Self::new(file, format!("`{field}` {text}"))
    }
}

/// Reads a description and checks it, but for the files beside it.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(file: &str, text: &str) -> Result<Language, LanguageError> {
    let language: Language =
        toml::from_str(text).map_err(|e| LanguageError::new(file, e.to_string().trim_end()))?;
    let check = Check { file };
    check.name(&language.name)?;
    check.files(&language.names)?;
    check.detect(&language)?;
    check.run(&language)?;
    check.serve(&language)?;
    if let Some(dependencies) = &language.dependencies {
        check.dependencies(dependencies)?;
    }
    Ok(language)
}

struct Check<'a> {
    file: &'a str,
}

type Checked = Result<(), LanguageError>;

impl Check<'_> {
    fn wrong(&self, field: &str, text: impl Display) -> Checked {
        Err(LanguageError::field(self.file, field, text))
    }

    fn template(&self, field: &str, text: &str, known: &[&str]) -> Checked {
        template::check(text, known)
            .map_err(|wrong| LanguageError::field(self.file, field, format!("{wrong} ({text:?})")))
    }

    fn command(&self, field: &str, words: &[String], known: &[&str]) -> Checked {
        if words.first().is_none_or(String::is_empty) {
            return self.wrong(field, "is empty; write the program and its arguments");
        }
        words.iter().try_for_each(|word| self.template(field, word, known))
    }

    fn name(&self, name: &str) -> Checked {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !first || !name.bytes().all(plain) || name.len() > MAX_NAME_BYTES {
            let text = format!(
                "is {name:?}; write a lower-case letter, then lower-case letters, digits and \
                 hyphens, {MAX_NAME_BYTES} characters at most"
            );
            return self.wrong("name", text);
        }
        if TAKEN.contains(&name) {
            let text = format!("is {name:?}, which is an engine's own; choose another");
            return self.wrong("name", text);
        }
        Ok(())
    }

    fn files(&self, names: &[String]) -> Checked {
        if names.len() > MAX_FILES {
            let text = format!("has {} names; {MAX_FILES} are allowed", names.len());
            return self.wrong("files", text);
        }
        for (at, name) in names.iter().enumerate() {
            let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
            if !plain || name == DESCRIPTION {
                let text =
                    format!("has {name:?}; write names of files that lie beside {DESCRIPTION}");
                return self.wrong("files", text);
            }
            if names[..at].contains(name) {
                return self.wrong("files", format!("has {name:?} twice; leave one out"));
            }
        }
        Ok(())
    }

    fn detect(&self, language: &Language) -> Checked {
        let Some(detect) = &language.detect else {
            if language.run.start == Start::Bridge {
                return Ok(());
            }
            return self.wrong("detect", "is missing; say how the interpreter is found");
        };
        if detect.program.is_empty() || detect.program.contains('/') {
            let text = format!("is {:?}; write a name to look for in PATH", detect.program);
            return self.wrong("detect.program", text);
        }
        match detect.interpreter.as_deref() {
            Some(path) if path.starts_with('/') || path.split('/').any(|p| p == "..") => {
                let text = format!("is {path:?}; write a path below the program's home");
                self.wrong("detect.interpreter", text)
            }
            _ => Ok(()),
        }
    }

    fn run(&self, language: &Language) -> Checked {
        let run = &language.run;
        if let Some(keep) = &run.keep {
            self.template("run.keep", keep, &["version"])?;
            if !keep.starts_with('.') || keep.contains('/') {
                return self.wrong("run.keep", "names a file that is not hidden; begin with a dot");
            }
        }
        if run.start == Start::Bridge {
            return match run.command.is_empty() {
                true => Ok(()),
                false => self.wrong("run.command", "is not used when `start` is bridge"),
            };
        }
        self.command("run.command", &run.command, RUN)?;
        let proxy = format!("{{{PROXY}}}");
        let inside = |word: &&String| **word != proxy && word.contains(&proxy);
        match run.command.iter().find(inside) {
            Some(word) => {
                let text = format!("has {word:?}; `{proxy}` has to be a word of its own");
                self.wrong("run.command", text)
            }
            None => Ok(()),
        }
    }

    fn serve(&self, language: &Language) -> Checked {
        self.command("serve.command", &language.serve.command, SERVE)?;
        let known: Vec<_> = SERVE.iter().copied().filter(|name| *name != EXECUTABLE).collect();
        language.serve.commands().try_for_each(|c| self.command("serve.prepare", c, &known))
    }

    fn dependencies(&self, dependencies: &Dependencies) -> Checked {
        let known = dependencies::PLACEHOLDERS;
        let field = "dependencies.installing";
        for (name, value) in &dependencies.installing {
            self.variable(field, name)?;
            self.template(field, value, known)?;
        }
        let field = "dependencies.running";
        for (name, value) in &dependencies.running {
            self.variable(field, name)?;
            self.template(field, value, &["packages"])?;
        }
        if dependencies.manifests.is_empty() {
            return self.wrong("dependencies.manifests", "is empty; describe one at least");
        }
        dependencies.manifests.iter().try_for_each(|manifest| self.manifest(manifest))
    }

    fn variable(&self, field: &str, name: &str) -> Checked {
        match name.is_empty() || name.contains(['=', '\0']) {
            true => self.wrong(field, format!("has {name:?}, which names no variable")),
            false => Ok(()),
        }
    }

    fn manifest(&self, manifest: &dependencies::Manifest) -> Checked {
        let known = dependencies::PLACEHOLDERS;
        let name = &manifest.name;
        if name.is_empty() || name.contains(['/', '\0']) {
            let text = format!("is {name:?}; write the name of a file");
            return self.wrong("dependencies.manifests.name", text);
        }
        let field = "dependencies.manifests.install";
        if manifest.install.is_empty() {
            return self.wrong(field, "is empty; write the commands that install");
        }
        manifest.install.iter().try_for_each(|command| self.command(field, command, known))?;
        let paths = manifest.files.keys().chain(manifest.mirrored.keys());
        let paths = paths.chain(manifest.extract.keys()).chain(&manifest.at);
        for path in paths {
            let below = ["{directory}/", "{packages}/"].iter().any(|b| path.starts_with(b));
            if !below || path.split('/').any(|part| part == "..") {
                let text = format!(
                    "writes {path:?}; begin with `{{directory}}/` or `{{packages}}/`, without `..`"
                );
                return self.wrong("dependencies.manifests", text);
            }
            self.template("dependencies.manifests", path, &["directory", "packages"])?;
        }
        let texts = manifest.files.values().chain(manifest.mirrored.values());
        texts.into_iter().try_for_each(|t| self.template("dependencies.manifests.files", t, known))
    }
}
