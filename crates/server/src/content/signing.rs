//! The key that signs images, and which of others' signatures hold.

use dispatch_images::sign::{PublicKey, Signature, SigningKey, verify};
use dispatch_images::{Digest, Error, Result};
use dispatch_store::Store;

use crate::seal::Seal;

/// This installation's own key: made at the first start, sealed in the store, the same on all its
/// servers.
pub struct Signer(SigningKey);

impl Signer {
    /// # Errors
    /// When the store does not answer, or the key was sealed with a root key that is not here.
    pub async fn open(store: &Store, seal: &Seal) -> anyhow::Result<Self> {
        if let Some(pem) = seal.own_value(store).await? {
            return Ok(Self(SigningKey::from_pem(&pem)?));
        }
        let made = SigningKey::generate()?;
        let pem = seal.own_value_or(store, &made.to_pem()?).await?;
        Ok(Self(SigningKey::from_pem(&pem)?))
    }

    /// The public key, as cosign's `cosign.pub`.
    pub fn public_pem(&self) -> String {
        self.0.public_pem()
    }

    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// Signs an image under the name it has in its registry.
    pub fn sign(&self, digest: &Digest, name: &str) -> Result<Signature> {
        self.0.sign(digest, name).map_err(|error| Error::Unavailable(error.to_string()))
    }
}

/// Whether one of the keys made one of the signatures, for that image.
pub fn signed(keys: &[PublicKey], digest: &Digest, all: &[Signature]) -> bool {
    all.iter().any(|one| verify(keys, digest, &one.payload, &one.signature).is_ok())
}
