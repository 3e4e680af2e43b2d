//! Hosts: how requests and APIs name them, and which organization has which.

use std::borrow::Cow;
use std::collections::HashMap;

use dispatch_model::{OrgName, Violation};
use http::header::HOST;
use http::request::Parts;

use super::scope::Scope;

/// The host a request is for, without its port, in lower case. `None` when it names two.
pub fn of_request(parts: &Parts) -> Option<Cow<'_, str>> {
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => {
            let mut headers = parts.headers.get_all(HOST).iter();
            let first = headers.next().map(|value| value.to_str());
            if headers.next().is_some() {
                return None;
            }
            first.transpose().ok()?.unwrap_or_default()
        }
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(host.to_ascii_lowercase().into());
    }
    Some(host.into())
}

/// A host of an API: a name, or `*.` and a name for every host one label below it.
pub fn of_api(host: &str) -> Result<Scope<Box<str>>, Violation> {
    let lower = host.to_ascii_lowercase();
    let (scope, name) = match lower.strip_prefix("*.") {
        Some(name) => (Scope::Wildcard(name.into()), name),
        None => (Scope::Host(lower.as_str().into()), lower.as_str()),
    };
    if name.is_empty() || name.contains('*') || name.split('.').any(str::is_empty) {
        let rule = format!("{host:?} must be a host name, or *. and a host name");
        return Err(Violation::new("hosts", rule));
    }
    Ok(scope)
}

/// Which organization has a host. None gets requests to another's: not by its own name, not by a
/// wildcard.
#[derive(Default)]
pub struct Claims {
    /// The organization, and how many of its APIs have the host.
    owners: HashMap<Scope<Box<str>>, (OrgName, usize)>,
    /// By the wildcard that would cover them: who has hosts there, and how many.
    covered: HashMap<Box<str>, HashMap<OrgName, usize>>,
}

impl Claims {
    /// Refuses a host that another organization has, or covers, or has a part of.
    pub fn check(&self, org: &OrgName, scope: &Scope<Box<str>>) -> Result<(), Violation> {
        let others =
            |scope: &Scope<Box<str>>| self.owners.get(scope).is_some_and(|(owner, _)| owner != org);
        let taken = others(scope)
            || match scope {
                Scope::Host(host) => {
                    parent(host).is_some_and(|above| others(&Scope::Wildcard(above.into())))
                }
                Scope::Wildcard(name) => {
                    self.covered.get(name).is_some_and(|orgs| orgs.keys().any(|o| o != org))
                }
                Scope::Organization(_) => false,
            };
        if taken {
            let rule = format!("{scope} belongs to another organization");
            return Err(Violation::new("hosts", rule));
        }
        Ok(())
    }

    pub fn add(&mut self, org: &OrgName, scope: &Scope<Box<str>>) {
        self.owners.entry(scope.clone()).or_insert_with(|| (org.clone(), 0)).1 += 1;
        if let Scope::Host(host) = scope
            && let Some(above) = parent(host)
        {
            *self.covered.entry(above.into()).or_default().entry(org.clone()).or_default() += 1;
        }
    }

    /// True when the host is nobody's now.
    pub fn take(&mut self, org: &OrgName, scope: &Scope<Box<str>>) -> bool {
        if let Scope::Host(host) = scope
            && let Some(above) = parent(host)
            && let Some(orgs) = self.covered.get_mut(above)
        {
            if let Some(count) = orgs.get_mut(org) {
                *count -= 1;
            }
            orgs.retain(|_, count| *count > 0);
            if orgs.is_empty() {
                self.covered.remove(above);
            }
        }
        let Some((_, apis)) = self.owners.get_mut(scope) else { return false };
        *apis -= 1;
        let last = *apis == 0;
        if last {
            self.owners.remove(scope);
        }
        last
    }
}

/// `example.org` for `a.example.org`.
pub fn parent(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, above)| above)
}
