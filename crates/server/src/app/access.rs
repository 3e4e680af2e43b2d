//! Whether a described request would be allowed, for a proxy that asks before it forwards.

use dispatch_model::Violation;

use super::{App, Caller, Result};
use crate::authz::Action;

/// The words policies know, which are the second segments of paths.
const RESOURCES: [&str; 11] = [
    "baseimage",
    "image",
    "function",
    "runs",
    "secret",
    "api",
    "application",
    "event",
    "serviceclass",
    "serviceinstance",
    "iam",
];

impl App {
    /// A path of fewer than two segments names no resource: then being signed in, for an
    /// organization that exists, is enough, as in v1.
    pub fn may(&self, caller: &Caller, method: &str, path_and_query: &str) -> Result<()> {
        let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let Some(named) = segments.nth(1) else {
            return self.authorizer.authorize_organization(caller);
        };
        let action = Action::of_method(&method.to_ascii_uppercase())
            .ok_or_else(|| Violation::new("X-Original-Method", format!("{method:?} is unknown")))?;
        let resource = RESOURCES.into_iter().find(|word| *word == named).unwrap_or("(unknown)");
        self.authorizer.authorize(caller, action, resource)
    }
}
