//! What installs the packages a manifest names: files to write, a command, an environment.
//!
//! Nothing is run here. The command writes below the directory of packages only. What it fetches
//! comes from where its tool looks by itself, or from the one mirror that the operator names.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::template::{fill, fill_all};
use super::{Language, PACKAGES_AT, Values};

/// Largest manifest, in bytes: lock files are long.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// What templates of dependencies may have.
pub(super) const PLACEHOLDERS: &[&str] =
    &["interpreter", "packages", "manifest", "directory", "mirror"];

/// What only has a value where there is a mirror.
const MIRROR: &str = "{mirror}";

/// The time packages are said to be of, where their tool asks: the first day zip archives know.
const BUILD_TIME: &str = "315532800";

/// How packages of a language are installed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependencies {
    /// Environment of the commands that install; what has `{mirror}` in it only where there is one.
    #[serde(default)]
    pub(super) installing: BTreeMap<String, String>,
    /// Environment of handlers.
    #[serde(default)]
    pub(super) running: BTreeMap<String, String>,
    /// Kinds of manifest; the first that fits a text is taken.
    pub manifests: Vec<Manifest>,
}

/// One kind of manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the file is called.
    pub name: String,
    #[serde(default)]
    pub format: Format,
    /// A JSON pointer (RFC 6901) to what only this kind has; without it every text fits.
    #[serde(default)]
    recognised_by: Option<String>,
    /// Where it is written; below the working directory when nothing is said.
    #[serde(default)]
    pub(super) at: Option<String>,
    /// Files that are taken from the manifest: a path, and the JSON pointer to what is in it.
    #[serde(default)]
    pub(super) extract: BTreeMap<String, String>,
    /// Other files the commands need.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// The same files, or more, as they are where there is a mirror.
    #[serde(default)]
    pub(super) mirrored: BTreeMap<String, String>,
    /// Commands, run in this order until one fails.
    pub(super) install: Vec<Vec<String>>,
}

/// How a manifest is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Text,
    Json,
    Xml,
}

/// Where a step takes place. All paths are those the command sees.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The language's interpreter: [`Language::program`] in images, its path on this machine.
    pub interpreter: &'a str,
    /// Where packages go; mostly [`PACKAGES_AT`]. It has to exist.
    pub packages: &'a str,
    /// An empty directory for everything else; of no use afterwards. Always the same one makes the
    /// same packages, since some tools write it down.
    pub directory: &'a str,
    /// URL of a mirror of where the tool looks by itself.
    pub mirror: Option<&'a str>,
}

/// What has to be done to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Written before: (path, text). Their directories may have to be made.
    pub files: Vec<(String, String)>,
    pub command: Vec<String>,
    /// Of the command, without `PATH`.
    pub environment: Vec<(String, String)>,
}

/// Works out how the packages of a manifest are installed.
///
/// # Errors
/// One sentence for who wrote the manifest: it is empty, too long, not of its format, or the
/// language has none. Or for the operator: the mirror is no plain URL.
pub fn step(language: &Language, text: &str, place: &Place<'_>) -> Result<Step, String> {
    let name = &language.name;
    let Some(dependencies) = &language.dependencies else {
        return Err(format!("{name} has no packages to install, so leave the manifest out"));
    };
    if text.len() > MAX_MANIFEST_BYTES {
        let bytes = text.len();
        return Err(format!("the manifest has {bytes} bytes; {MAX_MANIFEST_BYTES} are allowed"));
    }
    if text.trim().is_empty() || text.contains('\0') {
        return Err("the manifest is empty or no text; leave it out, or name packages".to_owned());
    }
    let json: Result<Value, _> = serde_json::from_str(text);
    let fits = |m: &&Manifest| match &m.recognised_by {
        Some(pointer) => json.as_ref().is_ok_and(|json| json.pointer(pointer).is_some()),
        None => true,
    };
    let kinds = &dependencies.manifests;
    let manifest = kinds.iter().find(fits).ok_or_else(|| {
        let known: Vec<_> = kinds.iter().map(|m| m.name.as_str()).collect();
        format!("the manifest is none of {name}'s: {}", known.join(", "))
    })?;
    manifest.check(text, &json)?;
    let mirror = place.mirror.unwrap_or_default();
    check_mirror(mirror)?;
    let mut values = Values::from([
        ("interpreter", place.interpreter),
        ("packages", place.packages),
        ("directory", place.directory),
        ("mirror", mirror),
    ]);
    let default = format!("{{directory}}/{}", manifest.name);
    let at = fill(manifest.at.as_deref().unwrap_or(&default), &values);
    values.insert("manifest", &at);
    let mut files = vec![(at.clone(), text.to_owned())];
    files.extend(manifest.extracted(json.ok(), &values)?);
    let mut others = manifest.files.clone();
    if !mirror.is_empty() {
        others.extend(manifest.mirrored.clone());
    }
    files.extend(others.iter().map(|(p, t)| (fill(p, &values), fill(t, &values))));
    let commands = manifest.install.iter().map(|command| fill_all(command, &values)).collect();
    let own = dependencies.installing.iter();
    let own = own.filter(|(_, value)| !mirror.is_empty() || !value.contains(MIRROR));
    let own = own.map(|(name, value)| (fill(name, &values), fill(value, &values)));
    let environment = base_environment(place.directory).into_iter().chain(own).collect();
    Ok(Step { files, command: one(commands), environment })
}

/// It goes into settings of several formats, so it has nothing that means something there.
pub(super) fn check_mirror(mirror: &str) -> Result<(), String> {
    let web = mirror.is_empty() || ["http://", "https://"].iter().any(|p| mirror.starts_with(p));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"'<>&\\`$".contains(c);
    match web && mirror.chars().all(plain) {
        true => Ok(()),
        false => Err(format!(
            "the mirror is {mirror:?}; write a URL that begins with http:// or https:// and has \
             no spaces, quotes, backslashes or any of `<>&$`"
        )),
    }
}

impl Manifest {
    fn check(&self, text: &str, json: &serde_json::Result<Value>) -> Result<(), String> {
        match (self.format, json) {
            (Format::Json, Err(error)) => Err(format!("{} is not JSON: {error}", self.name)),
            (Format::Json, Ok(json)) if !json.is_object() => {
                Err(format!("{} is no JSON object", self.name))
            }
            (Format::Xml, _) if !text.trim_start().starts_with('<') => {
                Err(format!("{} is not XML: it does not begin with `<`", self.name))
            }
            _ => Ok(()),
        }
    }

    fn extracted(
        &self,
        json: Option<Value>,
        values: &Values<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        let json = json.unwrap_or_default();
        let taken = self.extract.iter().map(|(path, pointer)| {
            let part = json.pointer(pointer).ok_or_else(|| {
                format!("{} has no {pointer:?}; make it with a newer tool", self.name)
            })?;
            Ok((fill(path, values), part.to_string()))
        });
        taken.collect()
    }
}

impl Dependencies {
    pub(super) fn running(&self) -> Vec<(String, String)> {
        let values = Values::from([("packages", PACKAGES_AT)]);
        self.running.iter().map(|(name, value)| (name.clone(), fill(value, &values))).collect()
    }
}

fn base_environment(directory: &str) -> Vec<(String, String)> {
    let all = [("HOME", directory), ("LANG", "C.UTF-8"), ("SOURCE_DATE_EPOCH", BUILD_TIME)];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Several commands as one, which stops at the first that fails.
fn one(mut commands: Vec<Vec<String>>) -> Vec<String> {
    if commands.len() == 1 {
        return commands.remove(0);
    }
    let lines = commands.iter().map(|command| {
        let words: Vec<_> = command.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    });
    let script = lines.collect::<Vec<_>>().join(" && ");
    vec!["/bin/sh".to_owned(), "-c".to_owned(), script]
}

/// A word as a shell reads it: as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
