//! APIs: routes and certificates of the gateway.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::api::Api;
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::secret::Secret;
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State, Violation, code};
use dispatch_store::{Change, Store};

use super::reconcile::{Controller, Step, settle};
use crate::app::Result;
use crate::gateway::Gateway;
use crate::seal::Seal;

/// Keys of a secret that holds a certificate, as Kubernetes spells them.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

pub struct Apis {
    pub store: Store,
    pub seal: Arc<Seal>,
    pub gateway: Arc<Gateway>,
}

#[async_trait]
impl Controller for Apis {
    type Kind = Api;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::Secret];
    const FOLLOWS_SETTLED: bool = true;

    /// Tells the gateway all routes there are; once, before it serves.
    async fn load(&self) -> Result<()> {
        let mut query = ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() };
        loop {
            let page = self.store.list_all::<Api>(&query).await?;
            for api in page.items.iter().filter(|api| api.meta.state != State::Deleting) {
                if let Err(violation) = self.apply(api).await? {
                    let (org, name) = (&api.meta.org, &api.meta.name);
                    tracing::warn!(%org, %name, %violation, "an API is not served");
                }
            }
            query.continue_token = page.continue_token;
            if query.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    async fn concerned(&self, change: &Change) -> Result<Vec<(OrgName, Name)>> {
        let spec = vec![("tls".to_owned(), change.name.to_string())];
        let query = ListQuery { spec, ..ListQuery::default() };
        let apis = self.store.list::<Api>(&change.org, &query).await?.items;
        Ok(apis.into_iter().map(|api| (api.meta.org, api.meta.name)).collect())
    }

    async fn reconcile(&self, mut api: Resource<Api>, _: Duration) -> Result<Step> {
        if api.meta.state == State::Deleting {
            self.gateway.remove(&api.meta.org, &api.meta.name);
            self.store.remove(&api).await?;
            return Ok(Step::Done);
        }
        match self.apply(&api).await? {
            Ok(()) => {
                settle(&self.store, &mut api, State::Ready, Vec::new()).await?;
                Ok(Step::Done)
            }
            Err(violation) => {
                settle(&self.store, &mut api, State::Error, vec![violation.to_string()]).await?;
                // Another API may give the route back.
                Ok(Step::Again { revision: api.meta.revision })
            }
        }
    }

    fn gone(&self, org: &OrgName, name: &Name) {
        self.gateway.remove(org, name);
    }
}

impl Apis {
    /// The certificate first, so that no route is served without the one it asks for.
    async fn apply(&self, api: &Resource<Api>) -> Result<std::result::Result<(), Violation>> {
        let (org, name, spec) = (&api.meta.org, &api.meta.name, &api.spec);
        match &spec.tls {
            None => self.gateway.remove_certificate(org, name),
            Some(secret) => {
                if let Err(violation) = self.certificate(api, secret).await? {
                    return Ok(Err(violation));
                }
            }
        }
        Ok(self.gateway.put(org, name, spec))
    }

    async fn certificate(
        &self,
        api: &Resource<Api>,
        secret: &str,
    ) -> Result<std::result::Result<(), Violation>> {
        let (org, name) = (&api.meta.org, &api.meta.name);
        let wrong = |rule: String| Ok(Err(Violation::new("tls", rule)));
        let Some(found) = self.store.by_name::<Secret>(org, &Name::trusted(secret)).await? else {
            return wrong(format!("{}: secret {secret} does not exist", code::SECRET001));
        };
        let values = self.seal.open_sealed(org, &found.meta.name, &found.spec.sealed)?;
        let (Some(certificate), Some(key)) = (values.get(CERTIFICATE), values.get(KEY)) else {
            return wrong(format!("secret {secret} must have the keys {CERTIFICATE} and {KEY}"));
        };
        Ok(self.gateway.put_certificate(org, name, &api.spec.hosts, certificate, key))
    }
}
