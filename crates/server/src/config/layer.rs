//! Layers of settings, each checked against the defaults as it is added.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use dispatch_model::nearest;
use toml::{Table, Value};

use super::Config;

/// The defaults, and the manual of all settings.
pub const DEFAULT: &str = include_str!("default.toml");

const PREFIX: &str = "DISPATCH_";

/// Settings so far.
#[derive(Debug, Clone)]
pub struct Layers(Table);

impl Default for Layers {
    fn default() -> Self {
        Self(DEFAULT.parse().expect("default.toml is TOML: a test reads it"))
    }
}

impl Layers {
    /// All settings there are, as `section.key`.
    pub fn names(&self) -> Vec<String> {
        let tables = self.0.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
        tables
            .flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}")))
            .collect()
    }

    /// Adds a file.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        self.toml(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Adds TOML text.
    pub fn toml(&mut self, text: &str) -> Result<()> {
        let table: Table = text.parse()?;
        for (section, keys) in table {
            let Value::Table(keys) = keys else {
                bail!("{section} stands outside of a section: write [section] before it");
            };
            for (key, value) in keys {
                self.set(&section, &key, value)?;
            }
        }
        Ok(())
    }

    /// Adds the variables of an environment that are named `DISPATCH_SECTION__KEY`.
    pub fn environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<()> {
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some((section, key)) =
                name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__"))
            else {
                continue;
            };
            let value = value.to_str().with_context(|| format!("{name} is not UTF-8"))?;
            self.text(&section.to_lowercase(), &key.to_lowercase(), value)
                .with_context(|| format!("in the environment variable {name}"))?;
        }
        Ok(())
    }

    /// Sets one key from text, read as the type its default has.
    pub fn text(&mut self, section: &str, key: &str, text: &str) -> Result<()> {
        let wrong = |what: &str| format!("{section}.{key} must be {what}, not {text:?}");
        let value = match self.default_of(section, key)? {
            Value::Integer(_) => Value::Integer(text.parse().with_context(|| wrong("a number"))?),
            Value::Float(_) => Value::Float(text.parse().with_context(|| wrong("a number"))?),
            Value::Boolean(_) => {
                Value::Boolean(text.parse().with_context(|| wrong("true or false"))?)
            }
            Value::Array(_) => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                Value::Array(words.map(|word| Value::String(word.to_owned())).collect())
            }
            _ => Value::String(text.to_owned()),
        };
        self.set(section, key, value)
    }

    /// The settings, all types and values checked.
    pub fn config(self) -> Result<Config> {
        Config::deserialize_table(self.0)
    }

    fn set(&mut self, section: &str, key: &str, value: Value) -> Result<()> {
        let default = self.default_of(section, key)?;
        if !default.same_type(&value) {
            let (wanted, given) = (default.type_str(), value.type_str());
            bail!("{section}.{key} must be of type {wanted}, not {given}");
        }
        *default = value;
        Ok(())
    }

    fn default_of(&mut self, section: &str, key: &str) -> Result<&mut Value> {
        let sections: Vec<String> = self.0.keys().cloned().collect();
        let Some(Value::Table(table)) = self.0.get_mut(section) else {
            bail!("there is no section {section}{}", meant(section, &sections));
        };
        let keys: Vec<String> = table.keys().map(|key| format!("{section}.{key}")).collect();
        let Some(value) = table.get_mut(key) else {
            let name = format!("{section}.{key}");
            bail!("there is no setting {name}{}", meant(&name, &keys));
        };
        Ok(value)
    }
}

fn meant(name: &str, known: &[String]) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(other) => format!("; did you mean {other}?"),
        None => String::new(),
    }
}

/// What is not a URL of a database would be taken for a file. The URL may hold a password, so it is
/// not repeated.
fn check_database(url: &str) -> Result<()> {
    let scheme = url.split(':').next().unwrap_or_default();
    if url.is_empty() || matches!(scheme, "sqlite" | "postgres" | "postgresql") {
        return Ok(());
    }
    let form = "must be sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME";
    match url.contains(':') {
        true => bail!("server.database {form}; {scheme}: is another kind"),
        false => bail!("server.database {form}: write sqlite:{url}"),
    }
}

impl Config {
    fn deserialize_table(table: Table) -> Result<Self> {
        let config = serde_path_to_error::deserialize(Value::Table(table));
        let mut config: Self = config.map_err(|error| {
            let path = error.path().to_string();
            anyhow::anyhow!("{path}: {}", error.into_inner().message())
        })?;
        check_database(&config.server.database)?;
        if config.wasm.cache_dir.as_os_str().is_empty() {
            config.wasm.cache_dir = config.data_dir().join("wasm");
        }
        config.seal.root_key_file = config.seal.root_key_file.filter(|f| !f.as_os_str().is_empty());
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use dispatch_sandbox::wasm::WasmConfig;

    use super::*;

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = Layers::default().config().unwrap();
        assert_eq!(config.api.listen.port(), 8080);
        assert_eq!(config.runs, crate::invoke::Settings::default());
        assert_eq!(config.gateway.settings(), crate::gateway::Settings::default());
        assert_eq!(config.auth, crate::authn::Settings::default());
        let cache_dir = config.wasm.cache_dir.clone();
        assert_eq!(config.wasm, WasmConfig { cache_dir, ..WasmConfig::default() });
        assert_eq!(config.seal, crate::seal::KeySource::default());
        assert_eq!(config.secrets, crate::secrets::Settings::default());
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let mut layers = Layers::default();
        let error = layers.toml("[limits]\nmax_body_byte = 5").unwrap_err().to_string();
        assert!(error.ends_with("did you mean limits.max_body_bytes?"), "{error}");
        let error = layers.toml("[limit]\nx = 5").unwrap_err().to_string();
        assert!(error.ends_with("did you mean limits?"), "{error}");
        assert!(layers.toml("[api]\nlisten = 8080").is_err());
        assert!(layers.toml("listen = 8080").is_err());
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let mut layers = Layers::default();
        layers.toml("[limits]\nmax_body_bytes = 5\nmax_source_bytes = 6").unwrap();
        let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let variables =
            [variable("DISPATCH_LIMITS__MAX_BODY_BYTES", "7"), variable("DISPATCH_HOST", "x")];
        layers.environment(variables.into_iter()).unwrap();
        let wrong = [variable("DISPATCH_LIMITS__MAX_BODY_BYTES", "many")];
        assert!(layers.environment(wrong.into_iter()).is_err());
        let config = layers.config().unwrap();
        assert_eq!((config.limits.max_body_bytes, config.limits.max_source_bytes), (7, 6));
    }

    #[test]
    fn a_database_is_named_by_a_url() {
        let config = |url: &str| {
            let mut layers = Layers::default();
            layers.text("server", "database", url).unwrap();
            layers.config().map(drop).map_err(|error| error.to_string())
        };
        for good in ["", "sqlite:/tmp/d.db", "postgres://u:p@h/n", "postgresql://h/n"] {
            assert_eq!(config(good), Ok(()), "{good}");
        }
        let error = config("mysql://u:hunter2@h/n").unwrap_err();
        assert!(error.ends_with("; mysql: is another kind"), "{error}");
        assert!(config("/tmp/d.db").unwrap_err().ends_with("write sqlite:/tmp/d.db"));
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let mut layers = Layers::default();
        layers.text("api", "listen", "somewhere").unwrap();
        let error = layers.config().unwrap_err().to_string();
        assert!(error.starts_with("api.listen: must be an IP address"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
