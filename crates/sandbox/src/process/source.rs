//! Unpacked sources on disk, one directory for each digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dispatch_driver::language::Source;
use dispatch_driver::{Deployment, Error, Result, SourceStore};
use dispatch_model::code;

use super::failure;
use crate::archive::{self, ArchiveError};

/// Where sources are unpacked to.
pub struct Sources {
    directory: PathBuf,
    store: Arc<dyn SourceStore>,
}

impl Sources {
    pub fn new(directory: PathBuf, store: Arc<dyn SourceStore>) -> Self {
        Self { directory, store }
    }

    /// Unpacks the deployment's source unless that was done before; gives the directory's name.
    pub async fn ensure(&self, deployment: &Deployment, rules: &Source) -> Result<String> {
        let file = rules.file_name(&deployment.handler);
        let name = directory_name(deployment, &file)?;
        let destination = self.directory.join(&name);
        if destination.is_dir() {
            return Ok(name);
        }
        let bytes = self.store.read(&deployment.source_digest).await?;
        let temporary = self.directory.join(format!(".{}", uuid::Uuid::new_v4()));
        let unpacked = tokio::task::spawn_blocking(move || {
            archive::place(&bytes, &file, &temporary)?;
            match fs::rename(&temporary, &destination) {
                // Somebody else was faster; both hold the same.
                Err(_) if destination.is_dir() => fs::remove_dir_all(&temporary)?,
                other => other?,
            }
            Ok::<_, ArchiveError>(())
        });
        let unpacked = unpacked.await.map_err(|e| failure::engine("unpacking", e))?;
        unpacked.map(|()| name).map_err(|error| match error {
            ArchiveError::Io(error) => failure::engine("the source cannot be unpacked", error),
            error => Error::caller(code::ENGINE002, error.to_string()),
        })
    }

    pub async fn remove(&self, name: &str) {
        let directory = self.directory.join(name);
        if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
            tracing::warn!(%error, directory = %directory.display(), "source not removed");
        }
    }
}

/// The digest, and for a single file the name it gets, since that depends on the handler.
fn directory_name(deployment: &Deployment, file: &str) -> Result<String> {
    let digest = deployment.source_digest.trim_start_matches("sha256:");
    if digest.is_empty() || !digest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let text = format!("{:?} is no digest", deployment.source_digest);
        return Err(Error::ours(code::ENGINE006, text));
    }
    Ok(format!("{digest}.{file}"))
}

/// Writes a file that workers read, unless it is there: what is kept once, no worker changes.
pub async fn keep(path: PathBuf, bytes: Bytes) {
    let shown = path.display().to_string();
    let kept = tokio::task::spawn_blocking(move || {
        if path.exists() {
            return Ok(());
        }
        let temporary = path.with_file_name(format!(".{}", uuid::Uuid::new_v4()));
        fs::write(&temporary, bytes)?;
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644))?;
        fs::rename(temporary, path)
    });
    // Without it the next worker does the work again, no more.
    if let Err(error) = kept.await.unwrap_or_else(|e| Err(io::Error::other(e))) {
        tracing::warn!(%error, file = shown, "not kept");
    }
}

/// Makes a directory that handlers, as another user, may enter.
pub fn open_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
