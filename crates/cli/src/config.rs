//! The configuration file: v1's contexts, and its older flat form. Keys nobody here knows are
//! kept. The file is its owner's alone: it may hold a session.

use std::io::Write as _;
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
    /// Name of the context in use: the current one, unless another server was named.
    used: Option<String>,
}

impl Config {
    /// Reads the file; one that is not there is empty.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => default_file()?,
        };
        let root = read(&file)?;
        let mut config = Self { file, root, used: None };
        config.used = config.current().map(str::to_owned);
        Ok(config)
    }

    /// Uses what the file tells of one server, and nothing that it tells of another: a context's
    /// address, its settings and what signs in belong together. `is_of` says whether a context is
    /// of the server. Of several the current one is used, else that of the organization.
    pub fn of_server(&mut self, is_of: impl Fn(&Value) -> bool, organization: Option<&str>) {
        let of_it: Vec<_> = self.contexts().filter(|(_, context)| is_of(context)).collect();
        let is_current = |(name, _): &&(&String, &Value)| self.current() == Some(name.as_str());
        let fits = |(_, context): &&(&String, &Value)| {
            organization.is_some() && context["organization"].as_str() == organization
        };
        let found = of_it.iter().find(is_current).or_else(|| of_it.iter().find(fits));
        self.used = found.or(of_it.first()).map(|(name, _)| (*name).clone());
    }

    /// Changes the file as it is now, which somebody may have changed since it was read.
    pub fn change(&mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let folder = self.folder();
        std::fs::create_dir_all(folder).context(folder.display().to_string())?;
        let lock = self.file.with_extension("lock");
        let mut options = std::fs::OpenOptions::new();
        let open = options.write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let held = open.with_context(|| format!("cannot write {}", lock.display()))?;
        held.lock().with_context(|| format!("cannot lock {}", lock.display()))?;
        self.root = read(&self.file)?;
        let used = self.used.take();
        self.used = used.filter(|name| self.contexts().any(|(known, _)| known == name));
        change(self)?;
        write_private(&self.file, serde_json::to_string_pretty(&self.root)?.as_bytes())
    }

    /// Folder of the file, for what lies beside it.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// The name of the current context, if there is one.
    pub fn current(&self) -> Option<&str> {
        self.root.get("current")?.as_str().filter(|name| !name.is_empty())
    }

    /// The context in use.
    pub fn used(&self) -> Option<&Value> {
        self.root.get("contexts")?.get(self.used.as_ref()?)
    }

    /// The name of the context in use, or of the one that is made for a host.
    pub fn name_for(&self, host: &str) -> String {
        self.used.clone().unwrap_or_else(|| self.free_name(host))
    }

    /// Whether v1's file asks for JSON: however to print, wherever the server is.
    pub fn wants_json(&self) -> bool {
        let current = self.contexts().find(|(name, _)| Some(name.as_str()) == self.current());
        current.is_some_and(|(_, context)| context["Json"] == true)
    }

    /// A value of the context in use.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.used()?.get(key)
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
        let name = self.name_for(host);
        self.root.insert("current".to_owned(), json!(name));
        let contexts = self.root.entry("contexts").or_insert_with(|| json!({}));
        if let Some(contexts) = contexts.as_object_mut() {
            let context = contexts.entry(name.as_str()).or_insert_with(|| json!({}));
            if !context.is_object() {
                *context = json!({});
            }
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
}

/// A file in v1's older form, where everything belongs to one server, in the form of contexts.
fn with_contexts(mut root: Map<String, Value>) -> Map<String, Value> {
    if root.get("contexts").is_some_and(Value::is_null) {
        root.remove("contexts");
    }
    if root.contains_key("contexts") || root.keys().all(|key| key == "current") {
        return root;
    }
    let host = root.get("host").and_then(Value::as_str).filter(|host| !host.is_empty());
    let name = context_name(host.unwrap_or("localhost"));
    Map::from_iter([
        ("current".to_owned(), json!(name)),
        ("contexts".to_owned(), json!({ name: root })),
    ])
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    let root = match std::fs::read_to_string(file) {
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
    Ok(with_contexts(root))
}

/// v1's name of a context: the host in lower case with dashes for dots.
fn context_name(host: &str) -> String {
    host.to_lowercase().replace('.', "-")
}

/// Writes a file that only its owner can read, replacing what is there in one step.
pub fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    // Nobody else's, of whom it might be read: a new file of this process.
    let next = file.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&next);
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next);
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
        let set = |config: &mut Config| {
            config.set("other", &[("cookie", json!("x=y"))]);
            Ok(())
        };
        config.change(set).unwrap();
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
    fn what_belongs_to_one_server_is_used_for_no_other() {
        let text = r#"{"current": "a", "contexts": {
            "a": {"host": "a.example", "insecure": true, "token": "of-a"},
            "a2": {"host": "a.example", "token": "of-a2", "organization": "acme"},
            "b": {"host": "b.example", "token": "of-b"},
            "c-example": {"host": "elsewhere.example"}}}"#;
        let at = |host: &str| {
            let (mut config, folder) = read(text);
            config.of_server(|context| context["host"] == host, None);
            (config, folder)
        };
        for (host, token) in [
            ("a.example", Some("of-a")),
            ("b.example", Some("of-b")),
            ("c.example", None),
            ("", None),
        ] {
            assert_eq!(at(host).0.text("token").as_deref(), token, "{host}");
        }
        // Signing in at a new host leaves the others as they were.
        let (mut config, _folder) = at("c.example");
        assert_eq!(config.value("insecure"), None);
        let set = |config: &mut Config| {
            config.set("c.example", &[("token", json!("of-c"))]);
            Ok(())
        };
        config.change(set).unwrap();
        assert_eq!(config.current(), Some("c-example-2"));
        assert_eq!(config.text("token").as_deref(), Some("of-c"));
        // What somebody else changed meanwhile stays.
        let mut other = Config::load(Some(&config.file)).unwrap();
        other.change(|config| config.forget("b")).unwrap();
        config.change(|config| config.choose("a")).unwrap();
        let again = Config::load(Some(&config.file)).unwrap();
        assert_eq!(again.text("token").as_deref(), Some("of-a"));
        assert!(again.contexts().all(|(name, _)| name != "b"));
        // Of several of one server, the current one or that of the organization.
        let (mut config, _folder) = at("b.example");
        let of_a = |context: &Value| context["host"] == "a.example";
        config.of_server(of_a, Some("acme"));
        assert_eq!(config.text("token").as_deref(), Some("of-a"));
        config.choose("b").unwrap();
        config.of_server(of_a, Some("acme"));
        assert_eq!(config.text("token").as_deref(), Some("of-a2"));

        let (mut config, _folder) = at("b.example");
        config.unset(&["token"]);
        assert_eq!((config.text("token"), config.current()), (None, Some("a")));
    }

    #[test]
    fn files_that_tell_little_are_read() {
        for flat in [r#"{"host": "", "Json": true}"#, r#"{"contexts": null, "Json": true}"#] {
            let (mut flat, _folder) = read(flat);
            assert_eq!(flat.current(), Some("localhost"));
            flat.of_server(|_| false, None);
            assert!(flat.wants_json());
        }
        let (mut hollow, _folder) = read(r#"{"current": "a", "contexts": {"a": null}}"#);
        hollow.set("h.example", &[("token", json!("t"))]);
        assert_eq!(hollow.text("token").as_deref(), Some("t"));
        let (empty, _folder) = read(r#"{"current": "", "contexts": null}"#);
        assert_eq!(empty.contexts().count(), 0);
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
