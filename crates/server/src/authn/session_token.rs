//! What the holder of a session shows: `dispatch_session_` and the base64url of the session's id,
//! a secret, and a tag that only servers of this installation can make. Only a digest of the secret
//! is stored; the tag tells a token that may be somebody's from one that was made up, without a
//! look into the database.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_driver::identity::SecretText;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What tokens begin with, so that searches for leaked ones find them.
pub const PREFIX: &str = "dispatch_session_";

const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// So much of the HMAC-SHA-256 of what is before it.
const TAG_BYTES: usize = 16;

/// A token that was just made.
pub struct NewToken {
    /// Secret.
    pub text: SecretText,
    pub digest: String,
}

/// A token taken apart; nothing is proven.
pub struct Shown {
    pub id: Uuid,
    secret: [u8; SECRET_BYTES],
    tag: [u8; TAG_BYTES],
}

impl Shown {
    pub fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (secret, tag) = bytes.split_first_chunk::<SECRET_BYTES>()?;
        Some(Self { id: Uuid::from_bytes(*id), secret: *secret, tag: tag.try_into().ok()? })
    }

    /// Whether this is what the digest was made of.
    pub fn is_of(&self, stored: &str) -> bool {
        verify_slices_are_equal(digest(&self.secret).as_bytes(), stored.as_bytes()).is_ok()
    }
}

/// Makes tokens, and knows those it made: it is the same on all servers of an installation.
pub struct Mint(hmac::Key);

impl Mint {
    pub fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    pub fn token(&self, id: Uuid) -> NewToken {
        let mut secret = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut secret);
        let tag = self.tag(id, &secret);
        let bytes = [id.as_bytes().as_slice(), &secret, &tag].concat();
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        NewToken { text: SecretText::new(text), digest: digest(&secret) }
    }

    pub fn made(&self, shown: &Shown) -> bool {
        verify_slices_are_equal(&self.tag(shown.id, &shown.secret), &shown.tag).is_ok()
    }

    fn tag(&self, id: Uuid, secret: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac::sign(&self.0, &[id.as_bytes().as_slice(), secret].concat());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&whole.as_ref()[..TAG_BYTES]);
        tag
    }
}

fn digest(secret: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint(key: u8) -> Mint {
        Mint::new(hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]))
    }

    #[test]
    fn a_token_is_known_by_its_maker_and_its_digest() {
        let (ours, id) = (mint(1), Uuid::now_v7());
        let token = ours.token(id);
        let shown = Shown::read(token.text.reveal()).unwrap();
        assert_eq!(shown.id, id);
        assert!(ours.made(&shown) && !mint(2).made(&shown));
        assert!(shown.is_of(&token.digest) && !shown.is_of(&ours.token(id).digest));
        // Nobody moves a tag to another session or secret.
        let other = Shown { id: Uuid::now_v7(), ..Shown::read(token.text.reveal()).unwrap() };
        assert!(!ours.made(&other));
        let other = Shown { secret: [0; SECRET_BYTES], ..shown };
        assert!(!ours.made(&other));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let token = mint(1).token(Uuid::now_v7());
        let text = token.text.reveal();
        for wrong in ["", PREFIX, "dispatch_session_AAAA", &text[..text.len() - 1], &text[1..]] {
            assert!(Shown::read(wrong).is_none(), "{wrong}");
        }
        assert!(Shown::read(&format!("{text}AAAA")).is_none());
    }
}
