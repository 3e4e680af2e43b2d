//! APIs: routes and certificates of the gateway.
//!
//! Who has a route that several want is the gateway's to say, from what is stored alone: the API
//! that was created first. Whatever changes that for others brings these here again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::api::Api;
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::secret::{Content, Secret};
use dispatch_model::{ListQuery, Name, OrgName, Resource, ResourceKind, State, Violation, code};
use dispatch_store::{Change, Store};

use super::queue::Key;
use super::reconcile::{Controller, Step, settle};
use crate::app::Result;
use crate::gateway::{Gateway, Rank};
use crate::secrets::Secrets;

/// Keys of a secret that holds a certificate, as Kubernetes spells them.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

pub struct Apis {
    pub store: Store,
    pub secrets: Arc<Secrets>,
    pub gateway: Arc<Gateway>,
}

#[async_trait]
impl Controller for Apis {
    type Kind = Api;

    const DEPENDS_ON: &'static [ResourceKind] = &[ResourceKind::Secret];
    const FOLLOWS_SETTLED: bool = true;

    /// Tells the gateway all routes there are; once, before it serves. Returns the APIs whose state
    /// may not be what it should be any more: where the server ended between a route and its state.
    async fn load(&self) -> Result<Vec<Key>> {
        let mut query = ListQuery { limit: Some(MAX_LIMIT), ..ListQuery::default() };
        let mut unsure = Vec::new();
        loop {
            let page = self.store.list_all::<Api>(&query).await?;
            for api in page.items.iter().filter(|api| api.meta.state != State::Deleting) {
                let key = (api.meta.org.clone(), api.meta.name.clone());
                let (others, served) = match self.apply(api).await? {
                    Ok(others) => (others, self.gateway.conflict(&key.0, &key.1).is_none()),
                    Err(Unserved { violation, .. }) => {
                        let (org, name) = &key;
                        tracing::warn!(%org, %name, %violation, "an API is not served");
                        (Vec::new(), false)
                    }
                };
                if !served || api.meta.state == State::Error {
                    unsure.push(key);
                }
                unsure.extend(others);
            }
            query.continue_token = page.continue_token;
            if query.continue_token.is_none() {
                return Ok(unsure);
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
        let (org, name) = (&api.meta.org, &api.meta.name);
        if api.meta.state == State::Deleting {
            let others = self.gateway.remove(org, name);
            self.store.remove(&api).await?;
            return Ok(Step::Touched(others));
        }
        let mut again = false;
        let (outcome, others) = match self.apply(&api).await? {
            Ok(others) => (self.gateway.conflict(org, name), others),
            // Another server may serve it: the two would not take each other's word in turn.
            Err(Unserved { violation, until: Until::Answer }) if api.meta.state == State::Ready => {
                tracing::warn!(%org, %name, %violation, "an API is not served by this server");
                return Ok(Step::Again { revision: api.meta.revision });
            }
            Err(Unserved { violation, until }) => {
                again = until != Until::Change;
                (Some(violation), Vec::new())
            }
        };
        let state = if outcome.is_some() { State::Error } else { State::Ready };
        let reason = outcome.iter().map(Violation::to_string).collect();
        settle(&self.store, &mut api, state, reason).await?;
        match again {
            true => Ok(Step::Again { revision: api.meta.revision }),
            false => Ok(Step::Touched(others)),
        }
    }

    fn gone(&self, org: &OrgName, name: &Name) -> Vec<Key> {
        self.gateway.remove(org, name)
    }
}

/// Why an API is not served.
struct Unserved {
    violation: Violation,
    until: Until,
}

/// How long that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Something changes here.
    Change,
    /// Something changes in the secret store that keeps the certificate, which nobody tells.
    ChangeThere,
    /// The secret store answers this server.
    Answer,
}

impl From<Violation> for Unserved {
    fn from(violation: Violation) -> Self {
        Self { violation, until: Until::Change }
    }
}

type Served<T> = std::result::Result<T, Unserved>;

impl Apis {
    /// The certificate first, so that no route is served without the one it asks for. Returns the
    /// other APIs for which it made a difference.
    async fn apply(&self, api: &Resource<Api>) -> Result<Served<Vec<Key>>> {
        let (org, name, spec) = (&api.meta.org, &api.meta.name, &api.spec);
        match &spec.tls {
            None => self.gateway.remove_certificate(org, name),
            Some(secret) => {
                if let Err(unserved) = self.certificate(api, secret).await? {
                    return Ok(Err(unserved));
                }
            }
        }
        Ok(self.gateway.put(org, name, Rank::from(&api.meta), spec).map_err(Unserved::from))
    }

    async fn certificate(&self, api: &Resource<Api>, secret: &str) -> Result<Served<()>> {
        let (org, name) = (&api.meta.org, &api.meta.name);
        let Some(found) = self.store.by_name::<Secret>(org, &Name::trusted(secret)).await? else {
            let rule = format!("{}: secret {secret} does not exist", code::SECRET001);
            return Ok(Err(Violation::new("tls", rule).into()));
        };
        let until = match found.spec.content {
            Content::Sealed(_) => Until::Change,
            Content::Source(_) => Until::ChangeThere,
        };
        let wrong = |rule: String, until| {
            Ok(Err(Unserved { violation: Violation::new("tls", rule), until }))
        };
        let values = match self.secrets.values(&found).await {
            Ok(opened) => opened.values,
            Err(error) if error.is_final => return wrong(error.to_string(), until),
            Err(error) => return wrong(error.to_string(), Until::Answer),
        };
        let (Some(certificate), Some(key)) = (values.get(CERTIFICATE), values.get(KEY)) else {
            let rule = format!("secret {secret} must have the keys {CERTIFICATE} and {KEY}");
            return wrong(rule, until);
        };
        let (hosts, rank) = (&api.spec.hosts, Rank::from(&api.meta));
        let put = self.gateway.put_certificate((org, name), rank, hosts, certificate, key);
        Ok(put.map_err(|violation| Unserved { violation, until }))
    }
}
