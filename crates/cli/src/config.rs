//! The configuration file: v1's contexts, and its older flat form. Keys nobody here knows are
//! kept. The file is its owner's alone: it may hold a session.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::hint::{self, wrong};

/// The file as it was read.
#[derive(Debug)]
pub struct Config {
    file: PathBuf,
    root: Map<String, Value>,
}

impl Config {
    /// Reads the file; one that is not there is empty.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => default_file()?,
        };
        let root = match std::fs::read_to_string(&file) {
            Ok(text) if text.trim().is_empty() => Map::new(),
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                wrong(
                    format!("{} is not the JSON it should be: {error}", file.display()),
                    "correct it, name another by --config FILE, or move it away",
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error).context(file.display().to_string()),
        };
        Ok(Self { file, root })
    }

    /// Folder of the file, for what lies beside it.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// The name of the current context, if there is one.
    pub fn current(&self) -> Option<&str> {
        self.root.get("current")?.as_str().filter(|name| !name.is_empty())
    }

    /// A value of the current context; of the whole file in the flat form.
    pub fn value(&self, key: &str) -> Option<&Value> {
        match self.root.get("contexts") {
            None => self.root.get(key),
            Some(contexts) => contexts.get(self.current()?)?.get(key),
        }
    }

    pub fn text(&self, key: &str) -> Option<String> {
        let text = self.value(key)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub fn contexts(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root.get("contexts").and_then(Value::as_object).into_iter().flatten()
    }

    /// Makes a context the current one.
    pub fn choose(&mut self, name: &str) -> Result<()> {
        if !self.contexts().any(|(known, _)| known == name) {
            let known: Vec<_> = self.contexts().map(|(name, _)| name.as_str()).collect();
            if known.is_empty() {
                return Err(wrong(
                    format!("there is no context {name:?}; {} holds none", self.file.display()),
                    "`dispatch login` and `dispatch manage bootstrap` make one",
                ));
            }
            return Err(hint::unknown("context", name, known).into());
        }
        self.root.insert("current".to_owned(), json!(name));
        Ok(())
    }

    pub fn forget(&mut self, name: &str) -> Result<()> {
        let contexts = self.root.get_mut("contexts").and_then(Value::as_object_mut);
        if contexts.and_then(|contexts| contexts.remove(name)).is_none() {
            let known = self.contexts().map(|(name, _)| name.as_str());
            return Err(hint::unknown("context", name, known).into());
        }
        if self.current() == Some(name) {
            self.root.insert("current".to_owned(), json!(""));
        }
        Ok(())
    }

    /// Sets values of the current context, which is made (and named after its host) when there is
    /// none. `null` takes a value away.
    pub fn set(&mut self, host: &str, values: &[(&str, Value)]) {
        if !self.root.contains_key("contexts") {
            let flat = std::mem::take(&mut self.root);
            let name = context_name(host);
            self.root.insert("current".to_owned(), json!(name));
            self.root.insert("contexts".to_owned(), json!({ name: flat }));
        }
        let name = self.current().map_or_else(|| context_name(host), str::to_owned);
        self.root.insert("current".to_owned(), json!(name));
        let contexts = self.root.entry("contexts").or_insert_with(|| json!({}));
        if let Some(contexts) = contexts.as_object_mut() {
            let context = contexts.entry(name).or_insert_with(|| json!({}));
            if let Some(context) = context.as_object_mut() {
                for (key, value) in values {
                    match value {
                        Value::Null => context.remove(*key),
                        value => context.insert((*key).to_owned(), value.clone()),
                    };
                }
            }
        }
    }

    /// Writes the file anew in one step, readable by its owner only.
    pub fn save(&self) -> Result<()> {
        let folder = self.folder();
        std::fs::create_dir_all(folder).context(folder.display().to_string())?;
        write_private(&self.file, serde_json::to_string_pretty(&self.root)?.as_bytes())
    }
}

/// v1's name of a context: the host in lower case with dashes for dots.
fn context_name(host: &str) -> String {
    host.to_lowercase().replace('.', "-")
}

/// Writes a file that only its owner can read, replacing what is there in one step.
pub fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    let next = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let open = options.write(true).create(true).truncate(true).mode(0o600).open(&next);
    let mut open = open.with_context(|| format!("cannot write {}", next.display()))?;
    open.write_all(bytes)?;
    open.sync_all()?;
    std::fs::rename(&next, file).with_context(|| format!("cannot write {}", file.display()))
}

fn default_file() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set: name the file by --config")?;
    Ok(Path::new(&home).join(".dispatch/config.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Config, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        (Config::load(Some(&file)).unwrap(), folder)
    }

    #[test]
    fn both_forms_are_read_and_unknown_keys_are_kept() {
        let (mut config, _folder) = read(
            r#"{"current": "a", "contexts": {"a": {"host": "h.example", "api-https-port": 443}}}"#,
        );
        assert_eq!(config.text("host").as_deref(), Some("h.example"));
        config.set("other", &[("cookie", json!("x=y"))]);
        config.save().unwrap();
        let again = Config::load(Some(&config.file)).unwrap();
        assert_eq!(again.value("api-https-port"), Some(&json!(443)));
        assert_eq!(again.text("cookie").as_deref(), Some("x=y"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&config.file).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);

        let (mut flat, _folder) = read(r#"{"host": "Flat.Example", "port": 8443, "Json": false}"#);
        assert_eq!(flat.value("port"), Some(&json!(8443)));
        flat.set("Flat.Example", &[("organization", json!("acme"))]);
        assert_eq!(flat.current(), Some("flat-example"));
        assert_eq!(flat.value("port"), Some(&json!(8443)));
    }

    #[test]
    fn contexts_are_chosen_and_forgotten() {
        let (mut config, _folder) = read(r#"{"current": "a", "contexts": {"a": {}, "b": {}}}"#);
        let error = config.choose("elsewhere").unwrap_err();
        assert_eq!(error.downcast_ref::<hint::Wrong>().unwrap().hint, "there are: a, b");
        config.choose("b").unwrap();
        config.forget("b").unwrap();
        assert_eq!(config.current(), None);
        assert!(config.forget("b").is_err());
    }
}
