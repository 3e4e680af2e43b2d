//! Text that must not be seen: passwords, tokens, verifiers.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret. Its memory is wiped when it goes, and printing it shows nothing. It can be serialized,
/// so that what holds it can be kept sealed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_printed_and_survives_being_kept() {
        let secret = SecretText::new("canary");
        assert_eq!(format!("{secret:?}"), "(hidden)");
        let kept = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<SecretText>(&kept).unwrap().reveal(), "canary");
    }
}
