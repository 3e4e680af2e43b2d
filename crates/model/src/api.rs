//! APIs: routes of the gateway, each bound to one function.

use serde::{Deserialize, Serialize};

use crate::name::check_reference;
use crate::{NoStatus, Violation, kind};

kind!(
    /// Marks APIs.
    Api, ApiSpec, NoStatus
);

/// Most methods, uris or hosts one API may list.
pub const MAX_ROUTE_PARTS: usize = 64;
/// Longest uri, in bytes.
pub const MAX_URI: usize = 2_048;
/// Longest host, in bytes: what DNS allows.
const MAX_HOST: usize = 253;

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSpec {
    pub function: String,
    /// Upper case; empty means GET.
    pub methods: Vec<String>,
    /// `/exact`, `/with/{parameter}`, `/prefix/*`; empty means `/`.
    pub uris: Vec<String>,
    /// Empty: the API is served at `/<organization><uri>` on every host.
    pub hosts: Vec<String>,
    /// `http`, `https`; empty means both.
    pub protocols: Vec<String>,
    /// `public`, `basic`, `oauth2`.
    pub authentication: String,
    pub enabled: bool,
    pub cors: bool,
    /// Name of a secret with `tls.crt` and `tls.key` for the hosts.
    pub tls: Option<String>,
}

impl ApiSpec {
    pub fn check(&self) -> Result<(), Violation> {
        if self.function.trim().is_empty() {
            return Err(Violation::new("function", "is required: the name of a function"));
        }
        check_reference("function", &self.function)?;
        check_reference("tls", self.tls.as_deref().unwrap_or_default())?;
        let parts = [("methods", &self.methods), ("uris", &self.uris), ("hosts", &self.hosts)];
        for (field, values) in parts {
            if values.len() > MAX_ROUTE_PARTS {
                let rule = format!("has {} entries, at most {MAX_ROUTE_PARTS}", values.len());
                return Err(Violation::new(field, rule));
            }
        }
        for method in &self.methods {
            if !METHODS.contains(&method.as_str()) {
                let rule = format!("{method:?} is not a method: one of {}", METHODS.join(", "));
                return Err(Violation::new("methods", rule));
            }
        }
        for protocol in &self.protocols {
            if !matches!(protocol.as_str(), "http" | "https") {
                return Err(Violation::new("protocols", format!("{protocol:?}: http or https")));
            }
        }
        self.uris.iter().try_for_each(|uri| check_uri(uri))?;
        self.hosts.iter().try_for_each(|host| check_host(host))?;
        if !matches!(self.authentication.as_str(), "public" | "basic" | "oauth2") {
            let rule = format!("{:?} is none of public, basic, oauth2", self.authentication);
            return Err(Violation::new("authentication", rule));
        }
        Ok(())
    }
}

fn check_uri(uri: &str) -> Result<(), Violation> {
    if uri.len() > MAX_URI {
        return Err(Violation::new("uris", format!("an entry is longer than {MAX_URI} bytes")));
    }
    if !uri.starts_with('/') || uri.contains(['?', '#', ' ']) || uri.contains("//") {
        let rule = format!("{uri:?} must start with / and hold no //, ?, # or space");
        return Err(Violation::new("uris", rule));
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), Violation> {
    if host.len() > MAX_HOST {
        let rule = format!("an entry is {} bytes long, at most {MAX_HOST}", host.len());
        return Err(Violation::new("hosts", rule));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*');
    if host.is_empty() || !host.chars().all(fits) {
        let rule = format!("{host:?} must be a host name such as api.example.org, without a port");
        return Err(Violation::new("hosts", rule));
    }
    Ok(())
}
