//! Who may set up `iam` before anybody else can sign in: a user of the configuration.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::key::PublicKey;

pub struct Bootstrap {
    pub name: String,
    pub key: PublicKey,
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
                let key = PublicKey::read(&public_key).context("bootstrap.public_key")?;
                Ok(Some(Self { name: user, key }))
            }
            _ => bail!("bootstrap.user and bootstrap.public_key must be given together"),
        }
    }
}
