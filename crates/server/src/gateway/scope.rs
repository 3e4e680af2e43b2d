//! Where a route is looked for: at a host, below a host, or under an organization's name.

use std::fmt;
use std::hash::Hasher;

/// Sets of routes that requests reach in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope<T> {
    /// Requests to this host.
    Host(T),
    /// Requests to any host one label below this name.
    Wildcard(T),
    /// Requests to any host whose path begins with this organization.
    Organization(T),
}

impl Scope<Box<str>> {
    pub fn borrow(&self) -> Scope<&str> {
        match self {
            Scope::Host(text) => Scope::Host(text),
            Scope::Wildcard(text) => Scope::Wildcard(text),
            Scope::Organization(text) => Scope::Organization(text),
        }
    }
}

impl Scope<&str> {
    /// Feeds a hash; no two scopes feed it the same.
    pub fn feed(self, hasher: &mut impl Hasher) {
        let (kind, text) = match self {
            Scope::Host(text) => (0, text),
            Scope::Wildcard(text) => (1, text),
            Scope::Organization(text) => (2, text),
        };
        hasher.write_u8(kind);
        hasher.write(text.as_bytes());
    }
}

impl<T: fmt::Display> fmt::Display for Scope<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Host(host) => write!(f, "{host}"),
            Scope::Wildcard(name) => write!(f, "*.{name}"),
            Scope::Organization(org) => write!(f, "/{org}"),
        }
    }
}
