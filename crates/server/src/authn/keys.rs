//! The service accounts: their public keys, and whom they trust.

use std::collections::{HashMap, HashSet};

use dispatch_model::organization::Organization;
use dispatch_model::service_account::{ServiceAccount, Trust};
use dispatch_model::{ListQuery, OrgName, State};
use dispatch_store::Store;
use uuid::Uuid;

use super::key::PublicKey;

/// A service account that can sign in.
pub struct Account {
    pub id: Uuid,
    pub org: OrgName,
    pub name: String,
    /// None for one that only trusts.
    pub key: Option<PublicKey>,
    /// Whose tokens sign in as it.
    pub trust: Vec<Trust>,
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
            let id = account.meta.id;
            let (text, trust) = (account.spec.public_key, account.spec.trust);
            let key = match PublicKey::read(&text) {
                Ok(key) => Some(key),
                Err(error) if !text.is_empty() => {
                    tracing::error!(%org, name, %error, "a stored key is unusable");
                    None
                }
                Err(_) => None,
            };
            if key.is_some() || !trust.is_empty() {
                keys.insert(format!("{org}/{name}"), Account { id, org, name, key, trust });
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
