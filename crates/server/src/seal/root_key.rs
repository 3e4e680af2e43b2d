//! Root keys: where they come from, and the id by which a sealed secret names one.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The key file made at the first start.
const FILE: &str = "root.key";
const LENGTH: usize = 32;

/// Where root keys are read from: `[seal]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySource {
    /// Base64 of 32 bytes, several separated by commas, the sealing one first. Meant for the
    /// environment (`DISPATCH_SEAL__ROOT_KEY`); takes the place of the file.
    pub root_key: SecretText,
    /// A file with one such key a line; `root.key` in the data directory when empty.
    pub root_key_file: Option<PathBuf>,
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(set)" })
    }
}

/// 32 bytes, and the id that may be shown.
pub struct RootKey {
    id: String,
    bytes: Zeroizing<[u8; LENGTH]>,
}

impl RootKey {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let decoded = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        let bytes: [u8; LENGTH] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| anyhow::anyhow!("a root key must be the base64 of {LENGTH} bytes"))?;
        Ok(Self::new(Zeroizing::new(bytes)))
    }

    fn new(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        // Of a hash with its own prefix, so that the id says nothing about the key.
        let mut hash = Sha256::new();
        hash.update(b"dispatch root key id\0");
        hash.update(bytes.as_slice());
        let id = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }

    #[cfg(test)]
    pub fn random() -> Self {
        Self::new(random_key())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }
}

/// 32 bytes nobody knows.
pub fn random_key() -> Zeroizing<[u8; LENGTH]> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    rand::rng().fill_bytes(bytes.as_mut_slice());
    bytes
}

/// Makes the data directory's key file, unless keys come from elsewhere or it is there.
pub fn make(data_dir: &Path, source: &KeySource) -> anyhow::Result<()> {
    let file = data_dir.join(FILE);
    if *source != KeySource::default() || file.exists() {
        return Ok(());
    }
    let text = Zeroizing::new(STANDARD.encode(random_key().as_slice()));
    replace(&file, &text).with_context(|| format!("cannot make {}", file.display()))
}

/// Reads all root keys: at least one, or none when the data directory's file is not there.
pub fn load(data_dir: &Path, source: &KeySource) -> anyhow::Result<Vec<RootKey>> {
    let given = &source.root_key.0;
    if !given.trim().is_empty() {
        let keys = given.split(',').map(RootKey::parse).collect::<anyhow::Result<_>>();
        return keys.context("seal.root_key");
    }
    let file = source.root_key_file.clone().unwrap_or_else(|| data_dir.join(FILE));
    if source.root_key_file.is_none() && !file.exists() {
        return Ok(Vec::new());
    }
    let shown = file.display();
    let metadata = std::fs::metadata(&file);
    let metadata = metadata.with_context(|| format!("seal.root_key_file: {shown}"))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{shown} may be read by others (mode {:o}): chmod 600 {shown}", mode & 0o777);
    }
    let text = Zeroizing::new(std::fs::read_to_string(&file)?);
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys = lines.map(RootKey::parse).collect::<anyhow::Result<Vec<_>>>();
    let keys = keys.with_context(|| shown.to_string())?;
    if keys.is_empty() {
        bail!("{shown} holds no root key");
    }
    Ok(keys)
}

/// Puts a new root key before those of the data directory's file; what the old ones sealed still
/// opens.
pub fn rotate(data_dir: &Path) -> anyhow::Result<()> {
    let file = data_dir.join(FILE);
    let old = Zeroizing::new(std::fs::read_to_string(&file)?);
    let key = Zeroizing::new(STANDARD.encode(random_key().as_slice()));
    let text = Zeroizing::new(format!("{}\n{}", key.as_str(), old.trim_end()));
    Ok(replace(&file, &text)?)
}

/// Leaves only the first key in the data directory's file.
pub fn keep_first(data_dir: &Path) -> anyhow::Result<()> {
    let file = data_dir.join(FILE);
    let text = Zeroizing::new(std::fs::read_to_string(&file)?);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let first = lines.next().with_context(|| format!("{} holds no root key", file.display()))?;
    Ok(replace(&file, first)?)
}

/// Writes a file whole or not at all, and on the disk when this returns: what a key seals must not
/// be there without it.
pub fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let next = file.with_extension("key.new");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    open.write_all(text.as_bytes())?;
    open.write_all(b"\n")?;
    open.sync_all()?;
    std::fs::rename(&next, file)?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
