//! A new root key, while no server runs.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::lock::lock;
use super::start::open_store;
use crate::config::Config;
use crate::seal::{KeySource, Seal, rotate};

/// Puts a new root key first and wraps every secret's data key with it. Safe to repeat when it
/// was interrupted: the old keys stay in the file. Returns how many secrets were changed.
pub async fn rotate_root_key(config: &Config) -> Result<(u64, PathBuf)> {
    if config.seal != KeySource::default() {
        bail!(
            "the root key is given by seal.root_key or seal.root_key_file: put a new one before \
             the old ones there, and start the server again"
        );
    }
    let data_dir = config.data_dir();
    let _lock = lock(&data_dir)?;
    let store = open_store(config).await?;
    // Makes the file if there is none yet, and refuses one that is not this database's.
    Seal::open(&data_dir, &config.seal, &store).await?;
    rotate(&data_dir)?;
    let resealed = Seal::open(&data_dir, &config.seal, &store).await?.adopt(&store).await?;
    store.close().await;
    Ok((resealed, data_dir.join("root.key")))
}
