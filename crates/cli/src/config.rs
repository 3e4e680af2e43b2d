//! The configuration file: v1's contexts, and its older flat form. Keys nobody here knows are
//! kept. The file is its owner's alone: it may hold a session.

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::hint::{self, wrong};

/// The file as it was read; the flat form as the one context it is.
#[derive(Debug)]
pub struct Config {
    file: PathBuf,
    root: Map<String, Value>,
    /// Name of the context in use: the current one, unless a host of another was given.
    used: Option<String>,
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
        let mut config = Self { file, root: with_contexts(root), used: None };
        config.used = config.current().map(str::to_owned);
        Ok(config)
    }

    /// Uses what the file tells of a host, and nothing that it tells of another: a context's
    /// address, its settings and what signs in belong together.
    pub fn at(mut self, host: &str) -> Self {
        let is_of = |context: &Value| match context["host"].as_str().unwrap_or_default() {
            // It tells of no server yet.
            "" => true,
            own => same_host(own, host),
        };
        let current = self.used.as_ref().and_then(|name| self.root.get("contexts")?.get(name));
        if !current.is_some_and(is_of) {
            let has = |context: &Value| context["host"].is_string() && is_of(context);
            let found = self.contexts().find(|(_, context)| has(context));
            self.used = found.map(|(name, _)| name.clone());
        }
        self
    }

    /// Folder of the file, for what lies beside it.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// The name of the current context, if there is one.
    pub fn current(&self) -> Option<&str> {
        self.root.get("current")?.as_str().filter(|name| !name.is_empty())
    }

    /// Whether a context is in use.
    pub fn is_used(&self) -> bool {
        self.used.is_some()
    }

    /// A value of the context in use.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.root.get("contexts")?.get(self.used.as_ref()?)?.get(key)
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

    /// Sets values of the context in use, which becomes the current one; it is made (and named
    /// after its host) when there is none. `null` takes a value away.
    pub fn set(&mut self, host: &str, values: &[(&str, Value)]) {
        let name = self.used.clone().unwrap_or_else(|| self.free_name(host));
        self.root.insert("current".to_owned(), json!(name));
        let contexts = self.root.entry("contexts").or_insert_with(|| json!({}));
        if let Some(contexts) = contexts.as_object_mut() {
            let context = contexts.entry(name.as_str()).or_insert_with(|| json!({}));
            if let Some(context) = context.as_object_mut() {
                for (key, value) in values {
                    match value {
                        Value::Null => context.remove(*key),
                        value => context.insert((*key).to_owned(), value.clone()),
                    };
                }
            }
        }
        self.used = Some(name);
    }

    /// Takes values away from the context in use.
    pub fn unset(&mut self, keys: &[&str]) {
        let contexts = self.root.get_mut("contexts");
        let used = self.used.as_ref().and_then(|name| contexts?.get_mut(name)?.as_object_mut());
        if let Some(context) = used {
            context.retain(|key, _| !keys.contains(&key.as_str()));
        }
    }

    fn free_name(&self, host: &str) -> String {
        let name = context_name(host);
        let is_free = |name: &String| self.contexts().all(|(known, _)| known != name);
        let more = (2..).map(|number: u64| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(more).find(is_free).unwrap_or(name)
    }

    /// Writes the file anew in one step, readable by its owner only.
    pub fn save(&self) -> Result<()> {
        let folder = self.folder();
        std::fs::create_dir_all(folder).context(folder.display().to_string())?;
        write_private(&self.file, serde_json::to_string_pretty(&self.root)?.as_bytes())
    }
}

/// A file in v1's older form, where everything belongs to one server, in the form of contexts.
fn with_contexts(root: Map<String, Value>) -> Map<String, Value> {
    if root.is_empty() || root.contains_key("contexts") {
        return root;
    }
    let name = context_name(root.get("host").and_then(Value::as_str).unwrap_or("localhost"));
    Map::from_iter([
        ("current".to_owned(), json!(name)),
        ("contexts".to_owned(), json!({ name: root })),
    ])
}

/// Whether two spellings are of one host.
fn same_host(one: &str, other: &str) -> bool {
    let bare = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        host.parse::<IpAddr>().map_or_else(|_| host.to_lowercase(), |address| address.to_string())
    };
    bare(one) == bare(other)
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
    fn what_belongs_to_one_host_is_used_for_no_other() {
        let text = r#"{"current": "a", "contexts": {
            "a": {"host": "a.example", "insecure": true, "token": "of-a"},
            "b": {"host": "B.Example", "token": "of-b"},
            "six": {"host": "[::1]", "token": "of-six"},
            "c-example": {"host": "elsewhere.example"}}}"#;
        let at = |host: &str| {
            let (config, folder) = read(text);
            (config.at(host), folder)
        };
        for (host, token) in [
            ("A.example", Some("of-a")),
            ("b.example", Some("of-b")),
            ("0:0::1", Some("of-six")),
            ("a.example.evil.example", None),
            ("", None),
        ] {
            assert_eq!(at(host).0.text("token").as_deref(), token, "{host}");
        }
        // Signing in at a new host leaves the others as they were.
        let (mut config, _folder) = at("c.example");
        assert_eq!(config.value("insecure"), None);
        config.set("c.example", &[("token", json!("of-c"))]);
        assert_eq!(config.current(), Some("c-example-2"));
        config.choose("a").unwrap();
        config.save().unwrap();
        let again = Config::load(Some(&config.file)).unwrap();
        assert_eq!(again.text("token").as_deref(), Some("of-a"));

        let (mut config, _folder) = at("b.example");
        config.unset(&["token"]);
        assert_eq!((config.text("token"), config.current()), (None, Some("a")));

        // One that tells of no server yet is of whichever is named.
        let (config, _folder) = read(r#"{"organization": "acme"}"#);
        assert_eq!(config.at("h.example").text("organization").as_deref(), Some("acme"));
        let (flat, _folder) = read(r#"{"host": "h.example", "cookie": "x=y"}"#);
        assert_eq!(flat.at("other.example").text("cookie"), None);
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
