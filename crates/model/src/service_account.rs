//! Service accounts: callers that sign in with a key pair, or with a
//! token of an issuer they trust.

use serde::{Deserialize, Serialize};

use crate::{ClaimPatterns, NoStatus, Violation, kind};

kind!(
    /// Marks service accounts.
    ServiceAccount, ServiceAccountSpec, NoStatus
);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountSpec {
    /// Base64 of the PEM of an RSA, EC (P-256) or Ed25519 public key.
    /// Empty for one that only trusts.
    pub public_key: String,
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust: Vec<Trust>,
}

/// Most of one account.
pub const MAX_TRUST: usize = 16;

/// Whose tokens sign in as the account: those of an identity provider of the server whose claims
/// fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    pub provider: String,
    pub claims: ClaimPatterns,
}

impl ServiceAccountSpec {
    /// # Errors
    /// The field that breaks a rule.
    pub fn check(&self) -> Result<(), Violation> {
        if self.public_key.is_empty() && self.trust.is_empty() {
            let rule = "is required, unless trust says whose tokens sign in as the account";
            return Err(Violation::new("publicKey", rule));
        }
        if self.trust.len() > MAX_TRUST {
            let rule = format!("has {}, at most {MAX_TRUST} are allowed", self.trust.len());
            return Err(Violation::new("trust", rule));
        }
        for (i, trust) in self.trust.iter().enumerate() {
            if trust.provider.is_empty() {
                return Err(Violation::new(format!("trust[{i}].provider"), "is required"));
            }
            let claims = format!("trust[{i}].claims");
            if trust.claims.0.is_empty() {
                // Whoever the issuer gives a token to would be the account.
                let rule = "must name at least one claim, such as sub";
                return Err(Violation::new(claims, rule));
            }
            trust.claims.check(&claims)?;
        }
        Ok(())
    }
}
