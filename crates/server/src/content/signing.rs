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
        if let Some(pem) = seal.signing_key(store).await? {
            return Ok(Self(SigningKey::from_pem(&pem)?));
        }
        let made = SigningKey::generate()?;
        let pem = seal.signing_key_or(store, &made.to_pem()?).await?;
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

/// This installation's own key, and the repositories whose signatures by it count.
#[derive(Debug, Clone)]
pub struct Ours {
    pub key: PublicKey,
    /// `registry/organization/`; `None` where nothing is pushed.
    pub below: Option<String>,
}

/// Whether one of the keys made one of the signatures, for that image. Our own signs what each
/// organization admits, so it counts only under the names of one.
pub fn signed(keys: &[PublicKey], ours: &Ours, digest: &Digest, all: &[Signature]) -> bool {
    let held = |keys: &[PublicKey], one: &Signature| {
        verify(keys, digest, &one.payload, &one.signature).ok()
    };
    let own = |one: &Signature| {
        let below = ours.below.as_ref()?;
        let held = held(std::slice::from_ref(&ours.key), one)?;
        held.reference.starts_with(below.as_str()).then_some(())
    };
    all.iter().any(|one| held(keys, one).is_some() || own(one).is_some())
}
