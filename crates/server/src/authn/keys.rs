//! The public keys of all service accounts.

use std::collections::{HashMap, HashSet};

use dispatch_model::organization::Organization;
use dispatch_model::service_account::ServiceAccount;
use dispatch_model::{ListQuery, OrgName, State};
use dispatch_store::Store;

use super::key::PublicKey;

/// A service account that can sign in.
pub struct Account {
    pub org: OrgName,
    pub name: String,
    pub key: PublicKey,
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
            match PublicKey::read(&account.spec.public_key) {
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
