//! What hangs on access as a whole: whether a described request would be allowed, for a proxy that
//! asks before it forwards, and how long an answer that goes on may go on.

use std::time::Duration;

use super::{App, Caller, Error, Result};
use crate::authz::Action;

/// The words policies know, which are the second segments of paths.
pub const RESOURCES: [&str; 14] = [
    "baseimage",
    "image",
    "imagepolicy",
    "engine",
    "function",
    "runs",
    "secret",
    "api",
    "application",
    "event",
    "serviceclass",
    "serviceinstance",
    "usage",
    "iam",
];

/// How often a caller is looked at without a change: tokens expire by themselves.
const EXPIRY_LOOK: Duration = Duration::from_secs(10);

impl App {
    /// A path of fewer than two segments names no resource: then being signed in, for an
    /// organization that exists, is enough, as in v1.
    pub fn may(&self, caller: &Caller, method: &str, path_and_query: &str) -> Result<()> {
        let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let Some(named) = segments.nth(1) else {
            return self.authorizer.authorize_organization(caller);
        };
        let resource = RESOURCES.into_iter().find(|word| *word == named).unwrap_or("(unknown)");
        match Action::of_method(&method.to_ascii_uppercase()) {
            Some(action) => self.authorizer.authorize(caller, action, resource),
            None => Err(Error::Forbidden {
                subject: caller.principal.subject().to_owned(),
                action: "(unknown)",
                resource,
                org: caller.org.to_string(),
            }),
        }
    }

    /// Makes policies, organizations and keys hold as they are stored now, also for answers that
    /// are under way.
    pub async fn reload_access(&self) -> Result<()> {
        self.authorizer.reload(&self.store).await.map_err(unread)?;
        self.authn.reload(&self.store).await.map_err(unread)?;
        self.access.send_replace(());
        Ok(())
    }

    /// Whether a caller of before is still who it was, and may still read a kind of resource.
    pub(super) fn still_reads(&self, caller: &Caller, resource: &'static str) -> Result<()> {
        self.authn.confirm(caller)?;
        self.authorizer.authorize(caller, Action::Get, resource)
    }

    /// Returns when a caller may read a kind of resource no longer, and why: its account or its
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
