//! `dispatch iam create serviceaccount`: a program, and what it signs in with.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::document::encode_file;
use crate::hint::wrong;
use crate::{complete, value};

pub const EXAMPLES: &str = "\
Examples:
  dispatch iam create serviceaccount ci --public-key ci.pub.pem --organization acme
  dispatch iam create serviceaccount deploy --trust-provider github-actions \\
      --trust-claim 'sub=repo:acme/shop:*' --trust-claim ref=refs/heads/main";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateServiceAccount {
    pub name: String,
    /// PEM of the public key: RSA, EC (P-256) or Ed25519
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Identity provider whose tokens sign in as the account, without a key
    #[arg(long, value_name = "PROVIDER", requires = "trust_claims",
          add = complete::identity_providers())]
    trust_provider: Option<String>,
    /// What a claim of such a token must be, * stands for any text; may be repeated: each claim
    /// must fit, by one of its patterns
    #[arg(long = "trust-claim", value_name = "CLAIM=PATTERN", requires = "trust_provider",
          value_parser = value::pair)]
    trust_claims: Vec<String>,
}

impl CreateServiceAccount {
    pub fn body(&self) -> Result<Value> {
        let mut body = json!({"name": self.name});
        if let Some(file) = &self.public_key {
            body["publicKey"] = json!(encode_file(file)?);
        }
        if let Some(provider) = &self.trust_provider {
            let mut claims = Map::new();
            for (claim, pattern) in self.trust_claims.iter().filter_map(|c| c.split_once('=')) {
                let patterns = claims.entry(claim).or_insert_with(|| json!([]));
                patterns.as_array_mut().into_iter().for_each(|list| list.push(json!(pattern)));
            }
            body["trust"] = json!([{"provider": provider, "claims": claims}]);
        }
        if self.public_key.is_none() && self.trust_provider.is_none() {
            let said = format!("service account {} would have nothing to sign in with", self.name);
            let fix = "--public-key FILE, or --trust-provider PROVIDER --trust-claim sub=PATTERN";
            return Err(wrong(said, fix));
        }
        Ok(body)
    }
}
