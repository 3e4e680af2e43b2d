//! What hangs on access as a whole: whether a described request would be allowed, for a proxy that
//! asks before it forwards, and how long an answer that goes on may go on.

use std::time::Duration;

use dispatch_access::{Object, RESOURCES};

use super::run::RESOURCE as RUNS;
use super::{App, Caller, Error, Result};
use crate::authz::{Action, IAM};

/// How often a caller is looked at without a change: tokens expire by themselves.
const EXPIRY_LOOK: Duration = Duration::from_secs(10);

impl App {
    /// A path of fewer than two segments names no resource: then being signed in, for an
    /// organization one sees, is enough. One of more names a thing, whose tags are not
    /// looked at: a rule that allows only what has some does not count.
    pub fn may_request(&self, caller: &Caller, method: &str, path_and_query: &str) -> Result<()> {
        // The address is the proxy's, and says nothing of who asks it.
        let caller = &Caller { from: None, ..caller.clone() };
        let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).skip(1);
        let Some(named) = segments.next() else {
            return self.authorizer.authorize_organization(caller);
        };
        let resource = RESOURCES.into_iter().find(|word| *word == named).unwrap_or("(unknown)");
        let Some(action) = Action::of_method(&method.to_ascii_uppercase()) else {
            return Err(Error::Forbidden {
                subject: caller.principal.subject().to_owned(),
                action: "(unknown)",
                resource,
                name: None,
                org: caller.org.to_string(),
            });
        };
        let names: Vec<_> = segments.take(if resource == IAM { 2 } else { 1 }).collect();
        // Of runs the name of the function is asked for, which their path does not have.
        let whole = names.is_empty() || resource == RUNS || (resource == IAM && names.len() < 2);
        if whole {
            return self.authorizer.authorize(caller, action, resource);
        }
        let name = names.join("/");
        let object = Object { name: &name, tags: None };
        self.authorizer.authorize_object(caller, action, resource, object)
    }

    /// Makes policies, organizations and keys hold as they are stored now, also for answers that
    /// are under way.
    pub async fn reload_access(&self) -> Result<()> {
        self.authn.reload(&self.store).await.map_err(unread)?;
        self.reload_policies().await
    }

    /// The same of policies, roles, groups and organizations alone.
    pub async fn reload_policies(&self) -> Result<()> {
        self.authorizer.reload(&self.store).await.map_err(unread)?;
        self.access.send_replace(());
        Ok(())
    }

    /// One change of policies, roles, groups and accounts after the other: each is held against
    /// what its author may give, and two that are each harmless may give together what neither
    /// may. What other servers changed is read first; what they change at this moment is not seen.
    pub(super) async fn granting(
        &self,
        caller: &Caller,
        action: Action,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        self.authorizer.authorize_some(caller, action, IAM)?;
        let one = self.granting.lock().await;
        if !self.store.is_sqlite() {
            self.reload_policies().await?;
        }
        Ok(one)
    }

    /// Whether a caller of before is still who it was, and may still read some of a kind.
    pub(super) fn still_reads(&self, caller: &Caller, resource: &'static str) -> Result<()> {
        self.authn.confirm(caller)?;
        self.authorizer.authorize_some(caller, Action::Get, resource).map(drop)
    }

    /// Returns when a caller may read nothing of a kind any longer, and why: its account or its
    /// rights are gone, or its token has expired.
    pub async fn revoked(&self, caller: &Caller, resource: &'static str) -> Error {
        let mut changed = self.access.subscribe();
        loop {
            if let Err(error) = self.still_reads(caller, resource) {
                return error;
            }
            let _ = tokio::time::timeout(EXPIRY_LOOK, changed.changed()).await;
        }
    }
}

/// A store that does not answer is worth another try, and is said to be; the rest is ours.
fn unread(error: anyhow::Error) -> Error {
    match error.downcast::<dispatch_store::Error>() {
        Ok(error) => error.into(),
        Err(error) => Error::internal(error),
    }
}
