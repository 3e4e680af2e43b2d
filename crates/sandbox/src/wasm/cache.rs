//! Compiled code, on disk by what it was made from and in memory while something uses it.

use std::collections::HashMap;
use std::fs::{DirBuilder, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dispatch_driver::{Deployment, Error, Result, SourceStore};
use dispatch_model::code;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::component::Compiled;
use super::config::WasmConfig;
use super::guest::Guest;
use super::interpreter::Interpreters;
use super::{runtime, source};

pub struct Cache {
    dir: PathBuf,
    engine: Engine,
    linker: Linker<Guest>,
    /// Digest of wasmtime's version and everything that changes the code it makes.
    fingerprint: String,
    sources: Arc<dyn SourceStore>,
    interpreters: Interpreters,
    used: Mutex<HashMap<String, Weak<Compiled>>>,
    /// Held while something is compiled: the compiler uses all cores by itself.
    compiling: tokio::sync::Mutex<()>,
    compilations: AtomicU64,
}

impl Cache {
    /// # Errors
    /// When the directory cannot be made, or others could write to it.
    pub fn open(
        config: &WasmConfig,
        interpreters: Interpreters,
        sources: Arc<dyn SourceStore>,
    ) -> Result<Self> {
        let dir = config.cache_dir.clone();
        private_dir(&dir)?;
        let engine = runtime::engine(config).map_err(|e| ours("starting wasmtime", &e))?;
        let linker = runtime::linker(&engine).map_err(|e| ours("linking WASI", &e))?;
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let fingerprint = hex(&hasher.0.finalize());
        Ok(Self {
            dir,
            engine,
            linker,
            fingerprint,
            sources,
            interpreters,
            used: Mutex::default(),
            compiling: tokio::sync::Mutex::default(),
            compilations: AtomicU64::new(0),
        })
    }

    pub fn interpreters(&self) -> &Interpreters {
        &self.interpreters
    }

    /// Components compiled since the start; what came from the disk is not counted.
    pub fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }

    /// The deployment's component: from memory, from disk, or compiled now.
    pub async fn get(&self, deployment: &Deployment) -> Result<Arc<Compiled>> {
        let key = self.key(deployment);
        if let Some(compiled) = self.load(&key).await? {
            return Ok(compiled);
        }
        let _one_at_a_time = self.compiling.lock().await;
        if let Some(compiled) = self.load(&key).await? {
            return Ok(compiled);
        }
        let component = self.component(deployment).await?;
        self.compile(&key, component).await?;
        let loaded = self.load(&key).await?;
        loaded.ok_or_else(|| Error::ours(code::ENGINE006, "compiled code vanished from the cache"))
    }

    /// Deletes the files of a component nothing is deployed from any more.
    pub async fn forget(&self, key: &str) {
        self.used().remove(key);
        for path in [self.code_path(key), self.component_path(key)] {
            if let Err(error) = tokio::fs::remove_file(&path).await
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot delete compiled code");
            }
        }
    }

    fn key(&self, deployment: &Deployment) -> String {
        let mut hasher = Sha256::new();
        let made_by = self.interpreters.version(&deployment.language);
        for part in [&deployment.source_digest, &deployment.language, made_by.as_str()] {
            hasher.update(part);
            hasher.update([0]);
        }
        if deployment.language != "wasm" {
            hasher.update(&deployment.handler);
        }
        format!("{}-{}", hex(&hasher.finalize()), &self.fingerprint[..16])
    }

    /// Compiled code lives as long as the engine's version, made components longer.
    fn code_path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.cwasm"))
    }

    fn component_path(&self, key: &str) -> PathBuf {
        let made_from = key.split('-').next().unwrap_or(key);
        self.dir.join(format!("{made_from}.wasm"))
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<Compiled>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, key: &str) -> Result<Option<Arc<Compiled>>> {
        if let Some(compiled) = self.used().get(key).and_then(Weak::upgrade) {
            return Ok(Some(compiled));
        }
        let (engine, path) = (self.engine.clone(), self.code_path(key));
        let Some(component) = blocking(move || map_code(&engine, &path)).await? else {
            return Ok(None);
        };
        let compiled = Arc::new(Compiled::new(key, &component, &self.linker)?);
        let mut used = self.used();
        used.retain(|_, other| other.strong_count() > 0);
        used.insert(key.to_owned(), Arc::downgrade(&compiled));
        Ok(Some(compiled))
    }

    /// The component itself: the source, or what an interpreter's tool makes of it.
    async fn component(&self, deployment: &Deployment) -> Result<Vec<u8>> {
        if deployment.language == "wasm" {
            let source = self.sources.read(&deployment.source_digest).await?;
            return blocking(move || source::component(&source)).await;
        }
        let path = self.component_path(&self.key(deployment));
        if let Ok(made) = tokio::fs::read(&path).await {
            return Ok(made);
        }
        let source = self.sources.read(&deployment.source_digest).await?;
        let made = self.interpreters.componentize(deployment, &source).await?;
        blocking(move || write(&path, &made).map(|()| made)).await
    }

    async fn compile(&self, key: &str, component: Vec<u8>) -> Result<()> {
        let (engine, path) = (self.engine.clone(), self.code_path(key));
        self.compilations.fetch_add(1, Ordering::Relaxed);
        blocking(move || {
            let compiled = engine.precompile_component(&component).map_err(|e| {
                Error::caller(code::ENGINE003, format!("the component does not compile: {e:#}"))
            })?;
            write(&path, &compiled)
        })
        .await
    }
}

#[allow(unsafe_code, reason = "compiled code is mapped; see SAFETY")]
fn map_code(engine: &Engine, path: &Path) -> Result<Option<Component>> {
    if !path.try_exists().map_err(|e| ours("reading the cache", &e))? {
        return Ok(None);
    }
    // SAFETY: the file was written by `compile` and moved here whole, under a name that holds the
    // digest of this engine's version and settings; the directory is ours and nobody else may
    // write to it (`private_dir`); files in it are only ever replaced or deleted, not changed.
    match unsafe { Component::deserialize_file(engine, path) } {
        Ok(component) => Ok(Some(component)),
        Err(error) => {
            // Damaged, or deleted since: it is made again.
            tracing::warn!(path = %path.display(), %error, "compiled code is not usable");
            Ok(None)
        }
    }
}

/// Writes the whole file or nothing; mode 0600 is what temporary files are made with.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(dir).and_then(|mut file| {
        file.write_all(bytes)?;
        file.persist(path).map_err(|e| e.error)
    });
    written.map(drop).map_err(|e| ours("writing the cache", &e))
}

fn private_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let checked = made.and_then(|()| {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        std::fs::metadata(dir)
    });
    let metadata = checked.map_err(|e| {
        let message = format!("the wasm cache {}: {e}", dir.display());
        Error::ours(code::ENGINE006, message)
    })?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("the wasm cache {} belongs to another user", dir.display());
        return Err(Error::ours(code::ENGINE006, message));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ours("a blocking task", &error)),
    }
}

fn ours(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::ours(code::ENGINE006, format!("{what}: {error:#}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that stays the same from one build of this program to the next.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}
