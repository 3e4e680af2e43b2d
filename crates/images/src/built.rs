//! What builds have made before, by all that went in: building the same again is a look-up.

use std::path::PathBuf;

use serde::Serialize;

use crate::layer::NewLayer;
use crate::{Content, Digest, Error, Result};

/// A step of a build: everything its outcome depends on.
#[derive(Debug, Serialize)]
pub struct Inputs<'a, T> {
    /// Of the layers below it; empty on the machine's own root.
    pub below: &'a [Digest],
    /// What is done on top of them.
    pub step: &'a T,
}

impl<T: Serialize> Inputs<'_, T> {
    /// The digest of the inputs.
    pub fn key(&self) -> Result<Digest> {
        let text = serde_json::to_vec(self);
        let wrong = |error| Error::refused(format!("a build step cannot be told: {error}"));
        Ok(Digest::of(&text.map_err(wrong)?))
    }
}

impl Content {
    fn built_path(&self, key: &Digest) -> PathBuf {
        self.directory("built").join(key.hex())
    }

    /// The layer a step made from the same inputs, if all of it is still here.
    pub async fn built(&self, key: &Digest) -> Option<NewLayer> {
        let text = tokio::fs::read(self.built_path(key)).await.ok()?;
        let layer: NewLayer = serde_json::from_slice(&text).ok()?;
        self.has_blob(&layer.digest).then_some(layer)
    }

    /// Keeps what a step made.
    pub async fn remember(&self, key: &Digest, layer: &NewLayer) -> Result<()> {
        let failed = || Error::io("what was built cannot be kept");
        let text = serde_json::to_vec(layer).map_err(|e| failed()(e.into()))?;
        // Another name first: a server that is killed leaves no half of it.
        let scratch = self.scratch()?;
        let new = scratch.path().join("built");
        tokio::fs::write(&new, text).await.map_err(failed())?;
        tokio::fs::rename(&new, self.built_path(key)).await.map_err(failed())
    }
}
