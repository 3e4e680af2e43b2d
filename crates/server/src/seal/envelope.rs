//! The two layers of encryption around a secret's values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use dispatch_model::secret::Sealed;
use dispatch_model::{Name, OrgName};
use rand::RngCore as _;
use zeroize::Zeroizing;

use super::root_key::{RootKey, random_key};

/// A secret's keys and values in memory; overwritten when dropped.
pub type Values = BTreeMap<String, Zeroizing<String>>;

const NONCE: usize = 24;

/// Why a secret does not open. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the root key it was sealed with is not among the server's keys")]
    UnknownRootKey,
    #[error("it was changed, or belongs to another secret")]
    Damaged,
}

pub fn seal(
    root: &RootKey,
    org: &OrgName,
    name: &Name,
    values: &BTreeMap<String, String>,
) -> Result<Sealed, Error> {
    let plain = Zeroizing::new(serde_json::to_vec(values).map_err(|_| Error::Damaged)?);
    let data_key = random_key();
    let (nonce, ciphertext) = encrypt(&data_key, &plain, &binding(org, name))?;
    let (wrap_nonce, wrapped_key) = wrap(root, data_key.as_slice())?;
    Ok(Sealed { root_key_id: root.id().to_owned(), wrapped_key, wrap_nonce, nonce, ciphertext })
}

pub fn open(root: &RootKey, org: &OrgName, name: &Name, sealed: &Sealed) -> Result<Values, Error> {
    let data_key = unwrap(root, sealed)?;
    let aad = binding(org, name);
    let plain = decrypt(&data_key, &sealed.nonce, &sealed.ciphertext, &aad)?;
    serde_json::from_slice(&plain).map_err(|_| Error::Damaged)
}

/// The same values under another root key.
pub fn rewrap(old: &RootKey, new: &RootKey, sealed: &Sealed) -> Result<Sealed, Error> {
    let data_key = unwrap(old, sealed)?;
    let (wrap_nonce, wrapped_key) = wrap(new, data_key.as_slice())?;
    let root_key_id = new.id().to_owned();
    Ok(Sealed { root_key_id, wrapped_key, wrap_nonce, ..sealed.clone() })
}

/// What the ciphertext is bound to; the separator cannot stand in a name.
fn binding(org: &OrgName, name: &Name) -> Vec<u8> {
    format!("dispatch secret\0{org}\0{name}").into_bytes()
}

fn wrap(root: &RootKey, data_key: &[u8]) -> Result<(String, String), Error> {
    encrypt(root.bytes(), data_key, root.id().as_bytes())
}

fn unwrap(root: &RootKey, sealed: &Sealed) -> Result<Zeroizing<[u8; 32]>, Error> {
    let aad = root.id().as_bytes();
    let key = decrypt(root.bytes(), &sealed.wrap_nonce, &sealed.wrapped_key, aad)?;
    let bytes: [u8; 32] = key.as_slice().try_into().map_err(|_| Error::Damaged)?;
    Ok(Zeroizing::new(bytes))
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}

fn encrypt(key: &[u8; 32], plain: &[u8], aad: &[u8]) -> Result<(String, String), Error> {
    let sealed = encrypt_bytes(key, plain, aad)?;
    let (nonce, ciphertext) = sealed.split_at(NONCE);
    Ok((STANDARD.encode(nonce), STANDARD.encode(ciphertext)))
}

/// A nonce, and after it the ciphertext.
pub fn encrypt_bytes(key: &[u8; 32], plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE];
    rand::rng().fill_bytes(&mut nonce);
    let payload = Payload { msg: plain, aad };
    let ciphertext =
        cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Damaged)?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

fn decrypt(
    key: &[u8; 32],
    nonce: &str,
    ciphertext: &str,
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| Error::Damaged);
    decrypt_bytes(key, &[decode(nonce)?, decode(ciphertext)?].concat(), aad)
}

/// What [`encrypt_bytes`] made.
pub fn decrypt_bytes(
    key: &[u8; 32],
    sealed: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Damaged)?;
    let payload = Payload { msg: ciphertext, aad };
    let plain = cipher(key).decrypt(&XNonce::from(*nonce), payload);
    plain.map(Zeroizing::new).map_err(|_| Error::Damaged)
}
