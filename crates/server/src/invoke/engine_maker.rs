//! What an engine is made of: its type, its settings, and the secrets it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch_driver::{Beside, Config, Engine, EngineType};
use dispatch_model::engine::EngineSpec;
use dispatch_model::organization::DEFAULT_ORGANIZATION;
use dispatch_model::secret::Secret;
use dispatch_model::{Name, OrgName, Violation, nearest};
use dispatch_store::Store;
use serde_json::json;

use crate::app::Result;
use crate::secrets::Secrets;

/// The organization engines' rows and their secrets lie in: the operators'.
pub fn operators() -> OrgName {
    OrgName::trusted(DEFAULT_ORGANIZATION)
}

/// A type that is a part of the server: there is one engine of it, which has its name.
#[derive(Debug, Clone)]
pub struct Embedded {
    pub name: String,
    /// What it is: a sentence without its full stop.
    pub about: &'static str,
}

/// Makes engines, and says beforehand whether one can be made.
pub struct EngineMaker {
    pub store: Store,
    pub secrets: Arc<Secrets>,
    pub types: Vec<Box<dyn EngineType>>,
    pub embedded: Vec<Embedded>,
    pub beside: Beside,
}

/// Everything an engine is made of, found good.
pub struct Checked<'a> {
    engine_type: &'a dyn EngineType,
    config: Config,
    /// Names all that went in, without a secret's value.
    pub made_of: String,
}

impl EngineMaker {
    pub fn is_embedded(&self, engine_type: &str) -> bool {
        self.embedded.iter().any(|own| own.name == engine_type)
    }

    /// Whether an engine that is a part of the server may have this spec.
    ///
    /// # Errors
    /// When it has settings: those are in the server's configuration.
    pub fn check_embedded(&self, name: &str, spec: &EngineSpec) -> Result<()> {
        let rule = |what: &str| {
            format!("engine {name} is a part of the server: its {what} the server's configuration")
        };
        if let Some(key) = spec.settings.keys().next() {
            return Err(Violation::new(format!("settings.{key}"), rule("settings are in")).into());
        }
        match spec.secrets.is_empty() {
            true => Ok(()),
            false => Err(Violation::new("secrets", rule("secrets, if any, are in")).into()),
        }
    }

    /// Checks type, settings and secrets of a foreign engine.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field at fault; others when the store does not answer, or a
    /// secret cannot be opened. Never holds a secret's value.
    pub async fn check(&self, name: &str, spec: &EngineSpec) -> Result<Checked<'_>> {
        let engine_type = self.find(&spec.engine_type)?;
        let (secrets, versions) = self.open(&spec.secrets).await?;
        let settings = spec.settings.clone();
        let made_of = json!([spec.engine_type, settings, versions]).to_string();
        let config = Config::check(name, engine_type.known(), settings, secrets)?;
        Ok(Checked { engine_type, config, made_of })
    }

    /// # Errors
    /// As [`EngineType::make`].
    pub async fn make(&self, checked: Checked<'_>) -> dispatch_driver::Result<Arc<dyn Engine>> {
        checked.engine_type.make(checked.config, &self.beside).await
    }

    fn find(&self, wanted: &str) -> Result<&dyn EngineType> {
        if let Some(found) = self.types.iter().find(|found| found.name() == wanted) {
            return Ok(&**found);
        }
        if self.is_embedded(wanted) {
            let rule = format!(
                "{wanted:?} is a part of the server, which has one engine of this type: {wanted}"
            );
            return Err(Violation::new("type", rule).into());
        }
        let names = || self.types.iter().map(|known| known.name());
        let hint = match nearest(wanted, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("types are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let rule = format!("{wanted:?} is no type of engines this server knows; {hint}");
        Err(Violation::new("type", rule).into())
    }

    /// The values of secrets together, and which versions of the secrets they are of.
    async fn open(&self, names: &[String]) -> Result<(BTreeMap<String, String>, Vec<String>)> {
        let (org, mut all, mut versions) = (operators(), BTreeMap::new(), Vec::new());
        for (at, text) in names.iter().enumerate() {
            let name = Name::new(text)?;
            let stored = self.store.by_name::<Secret>(&org, &name).await?;
            let secret = stored.ok_or_else(|| {
                let rule = format!("secret {name} does not exist in organization {org}");
                Violation::new(format!("secrets[{at}]"), rule)
            })?;
            let opened = self.secrets.values(&secret).await?;
            all.extend(opened.values.iter().map(|(key, value)| (key.clone(), value.to_string())));
            versions.push(format!("{}@{}", secret.meta.id, secret.meta.revision));
        }
        Ok((all, versions))
    }
}
