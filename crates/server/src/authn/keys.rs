//! The public keys tokens are checked against: service accounts', and the bootstrap user's.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_model::organization::Organization;
use dispatch_model::service_account::ServiceAccount;
use dispatch_model::{ListQuery, OrgName, State};
use dispatch_store::Store;
use jsonwebtoken::DecodingKey;

/// A service account that can sign in.
pub struct Account {
    pub org: OrgName,
    pub name: String,
    pub key: DecodingKey,
}

/// All accounts, by the issuer their tokens name (`ORG/NAME`).
#[derive(Default)]
pub struct Keys(HashMap<String, Account>);

impl Keys {
    pub async fn read(store: &Store) -> anyhow::Result<Self> {
        let accounts = store.list_all::<ServiceAccount>(&ListQuery::default()).await?.items;
        // Nobody of an organization that is being deleted signs in any more.
        let going = ListQuery { state: Some(State::Deleting), ..ListQuery::default() };
        let going = store.list_all::<Organization>(&going).await?.items;
        let going: HashSet<OrgName> = going.into_iter().map(|found| found.meta.org).collect();
        let mut keys = HashMap::with_capacity(accounts.len());
        for account in accounts.into_iter().filter(|a| !going.contains(&a.meta.org)) {
            let (org, name) = (account.meta.org, account.meta.name.to_string());
            match decode(&account.spec.public_key) {
                Ok(key) => {
                    keys.insert(format!("{org}/{name}"), Account { org, name, key });
                }
                Err(error) => tracing::error!(%org, name, %error, "a stored key is unusable"),
            }
        }
        Ok(Self(keys))
    }

    pub fn get(&self, issuer: &str) -> Option<&Account> {
        self.0.get(issuer)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An RSA public key from the base64 of its PEM.
pub fn decode(public_key: &str) -> anyhow::Result<DecodingKey> {
    let pem = STANDARD.decode(public_key.trim()).context("is not base64")?;
    DecodingKey::from_rsa_pem(&pem).context("is not the PEM of an RSA public key")
}

/// Labels of PEM blocks that hold an RSA public key, and the least length of their DER for 2048
/// bits. Private keys are no account's to give away.
const LABELS: [(&str, usize); 2] = [("PUBLIC KEY", 290), ("RSA PUBLIC KEY", 266)];

/// Whether a public key can be a service account's.
pub fn check_public_key(public_key: &str) -> anyhow::Result<()> {
    let pem = String::from_utf8(STANDARD.decode(public_key.trim()).context("is not base64")?)?;
    let begin = pem.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN "));
    let label = begin.and_then(|rest| rest.strip_suffix("-----")).unwrap_or_default();
    let Some((_, least)) = LABELS.into_iter().find(|(known, _)| *known == label) else {
        bail!("must be the base64 of a PEM block PUBLIC KEY, not {label:?}");
    };
    decode(public_key)?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body.split_whitespace().collect::<String>())?;
    if der.len() < least {
        bail!("must be an RSA key of at least 2048 bits");
    }
    Ok(())
}

/// Who may set up `iam` before anybody else can sign in.
pub struct Bootstrap {
    name: String,
    key: DecodingKey,
}

impl Bootstrap {
    /// From the configuration, or from the files `bootstrap_user` and `bootstrap_public_key` in
    /// `bootstrap/` of the data directory. Both parts or none.
    pub fn load(data_dir: &Path, user: &str, public_key: &str) -> anyhow::Result<Option<Self>> {
        let folder = data_dir.join("bootstrap");
        let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let or_file = |given: &str, name: &str| {
            if given.trim().is_empty() { file(name) } else { given.to_owned() }
        };
        let user = or_file(user, "bootstrap_user").trim().to_owned();
        let public_key = or_file(public_key, "bootstrap_public_key");
        match (user.is_empty(), public_key.trim().is_empty()) {
            (true, true) => Ok(None),
            (false, false) => {
                let key = decode(&public_key).context("bootstrap.public_key")?;
                Ok(Some(Self { name: user, key }))
            }
            _ => bail!("bootstrap.user and bootstrap.public_key must be given together"),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn key(&self) -> &DecodingKey {
        &self.key
    }
}
