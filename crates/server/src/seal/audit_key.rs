//! The key of the audit log: HMAC-SHA-256 over the places of its chain.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_model::audit::Sealer;
use zeroize::Zeroizing;

use super::root_key::random_key;

pub struct AuditKey(hmac::Key);

impl AuditKey {
    /// A new one, as text that can be kept.
    pub fn made() -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(random_key().as_slice()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text)?);
        anyhow::ensure!(bytes.len() == 32, "the key of the audit log has not 32 bytes");
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl Sealer for AuditKey {
    fn seal(&self, words: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, words.as_bytes()))
    }

    fn holds(&self, words: &str, seal: &str) -> bool {
        let seal = STANDARD.decode(seal).unwrap_or_default();
        hmac::verify(&self.0, words.as_bytes(), &seal).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_its_words_and_its_key_only() {
        let key = AuditKey::parse(&AuditKey::made()).unwrap();
        let seal = key.seal("entry 1 ab");
        assert!(key.holds("entry 1 ab", &seal));
        assert!(!key.holds("head 1 ab", &seal));
        assert!(!key.holds("entry 1 ab", "") && !key.holds("entry 1 ab", "?"));
        assert!(!AuditKey::parse(&AuditKey::made()).unwrap().holds("entry 1 ab", &seal));
        assert!(AuditKey::parse("YQ==").is_err());
    }
}
