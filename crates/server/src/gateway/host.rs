//! Hosts: how requests and APIs name them.

use std::borrow::Cow;

use dispatch_model::Violation;
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

/// `example.org` for `a.example.org`.
pub fn parent(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, above)| above)
}
