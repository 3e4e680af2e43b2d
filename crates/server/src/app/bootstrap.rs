//! Use cases of the one-time credential: putting a key in its place, and ending both.

use std::net::IpAddr;

use dispatch_model::audit::{Actor, Entry};
use dispatch_model::organization::{DEFAULT_ORGANIZATION, Organization};
use dispatch_model::{Name, OrgName, Violation};

use super::{App, Caller, Error, Result};
use crate::authn::{check_public_key, one_time};
use crate::authz::{Action, IAM};

impl App {
    /// Puts a public key in the credential's place. Returns until when the bootstrap user can sign
    /// in with it, in unix milliseconds.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the credential is wrong, was used or has expired.
    pub async fn bootstrap_claim(
        &self,
        from: IpAddr,
        request_id: &str,
        credential: &str,
        public_key: &str,
    ) -> Result<i64> {
        let wrong = || Error::Unauthenticated {
            message: "the bootstrap credential is wrong, was used or has expired".to_owned(),
        };
        // One that was printed and never used is good no more once there was another way in.
        if !self.authn.takes_one_time() {
            return Err(wrong());
        }
        check_public_key(public_key)
            .map_err(|error| Violation::new("publicKey", format!("{error:#}")))?;
        let actor = Actor { kind: "one-time-credential".to_owned(), ..Actor::default() };
        let told = self.audit.told(Entry {
            actor,
            from: Some(from.to_canonical().to_string()),
            action: "claim".to_owned(),
            resource: "bootstrap".to_owned(),
            request_id: request_id.to_owned(),
            ..Entry::default()
        });
        let claimed = one_time::claim(&self.store, &told, credential, public_key).await;
        let expires_ms = claimed.map_err(Error::internal)?.ok_or_else(wrong)?;
        self.bootstrap_changed().await?;
        Ok(expires_ms)
    }

    /// Ends the credential and the key that took its place.
    pub async fn bootstrap_disable(&self, caller: &Caller) -> Result<()> {
        self.authorizer.authorize_global(caller, Action::Delete, IAM)?;
        let told = self.audit.told(caller.act("delete").entry(None, "bootstrap", ""));
        one_time::disable(&self.store, &told).await.map_err(Error::internal)?;
        self.bootstrap_changed().await
    }

    /// Lets this server and the others look again.
    async fn bootstrap_changed(&self) -> Result<()> {
        let (org, name) = (OrgName::trusted(DEFAULT_ORGANIZATION), DEFAULT_ORGANIZATION);
        if let Some(there) = self.store.by_name::<Organization>(&org, &Name::trusted(name)).await? {
            self.store.touch(&there).await?;
        }
        self.reload_access().await
    }
}
