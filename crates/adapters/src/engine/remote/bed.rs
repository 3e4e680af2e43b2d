//! The bed of the conformance suite for engines of anybody's making.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::conformance::{Bed, Program, Stop, Tried};
use dispatch_driver::{
    Beside, Config, Deployment, Engine, EngineType as _, Error, Languages, Result, SourceStore,
};
use dispatch_model::code;
use sha2::{Digest as _, Sha256};

use super::RemoteType;

/// A remote engine, and the sources it is given.
pub struct RemoteBed {
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    language: &'static str,
    sources: Arc<Sources>,
    engine: Mutex<Arc<dyn Engine>>,
}

impl RemoteBed {
    /// Looks whether the engine answers, and for a language that the suite has programs in.
    ///
    /// # Errors
    /// One sentence when there is nothing to hold to its contract.
    pub async fn new(
        url: &str,
        token: Option<&str>,
        ca_file: Option<&str>,
    ) -> std::result::Result<Self, String> {
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let settings = [("url", url)].into_iter().chain(ca_file.map(|file| ("caFile", file)));
        let settings: BTreeMap<_, _> = settings.map(pair).collect();
        let secrets: BTreeMap<_, _> =
            token.map(|token| ("token", token)).map(pair).into_iter().collect();
        let sources = Arc::new(Sources::default());
        let engine = make(settings.clone(), secrets.clone(), sources.clone()).await?;
        let health = engine.health().await;
        if !health.ok {
            return Err(health.message);
        }
        let can = engine.capabilities().languages;
        let language = LANGUAGES.iter().find(|known| can.iter().any(|can| can == *known));
        let language = language.ok_or_else(|| {
            let (can, known) = (can.join(", "), LANGUAGES.join(" and "));
            format!("the suite has programs in {known}; the engine's languages are {can}")
        })?;
        Ok(Self { settings, secrets, language, sources, engine: Mutex::new(engine) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<dyn Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Languages the suite has programs in.
const LANGUAGES: &[&str] = &["python3", "nodejs"];

#[async_trait]
impl Bed for RemoteBed {
    fn engine(&self) -> Arc<dyn Engine> {
        self.lock().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let source = program.source(self.language).ok_or_else(|| {
            Stop::not_run(format!("the suite has no program in {}", self.language))
        })?;
        let source_digest = self.sources.put(source);
        Ok(Deployment { source_digest, ..program.deployment(self.language) })
    }

    async fn restart(&self) -> Tried<()> {
        let (settings, secrets) = (self.settings.clone(), self.secrets.clone());
        let made = make(settings, secrets, self.sources.clone()).await;
        *self.lock() = made.map_err(Stop::failed)?;
        Ok(())
    }

    fn cannot(&self, case: &str) -> Option<String> {
        let why = "nobody here can stop the engine and start it again";
        (case == "outage").then(|| why.to_owned())
    }
}

async fn make(
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    sources: Arc<Sources>,
) -> std::result::Result<Arc<dyn Engine>, String> {
    let config = Config::check("remote", RemoteType.known(), settings, secrets);
    let config = config.map_err(|violation| violation.to_string())?;
    let beside = Beside { sources, images: None, languages: Languages::builtin() };
    RemoteType.make(config, &beside).await.map_err(|error| error.to_string())
}

/// Sources in memory, by their digest.
#[derive(Default)]
struct Sources(Mutex<BTreeMap<String, Bytes>>);

impl Sources {
    fn put(&self, source: String) -> String {
        let hash = Sha256::digest(source.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("sha256:{hex}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(digest.clone(), source.into());
        digest
    }
}

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, digest: &str) -> Result<Bytes> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(digest).cloned();
        found.ok_or_else(|| Error::ours(code::ENGINE006, format!("no source {digest}")))
    }
}
