//! Where a server is: as flags and environment say, else as a context does, else where it usually
//! is.

use std::net::Ipv6Addr;

use anyhow::Result;
use serde_json::Value;
use url::Url;

use crate::arguments::Global;
use crate::hint::wrong;

/// Where the server is when nothing says so: the embedded one of this machine.
const HOST: &str = "127.0.0.1";
const PORT: u64 = 8080;

/// As much as is said of it.
#[derive(Debug, Clone, Default)]
pub struct Address {
    host: Option<String>,
    scheme: Option<String>,
    port: Option<u64>,
}

impl Address {
    /// Of flags or environment.
    pub fn given(global: &Global) -> Self {
        let Global { host, scheme, port, .. } = global;
        Self { host: host.clone(), scheme: scheme.clone(), port: port.map(u64::from) }
    }

    /// Of a context.
    pub fn of(context: &Value) -> Self {
        let text = |key: &str| context[key].as_str().filter(|text| !text.is_empty());
        Self {
            host: text("host").map(str::to_owned),
            scheme: text("scheme").map(str::to_owned),
            port: context["port"].as_u64(),
        }
    }

    pub fn says_something(&self) -> bool {
        self.host.is_some() || self.scheme.is_some() || self.port.is_some()
    }

    /// The same, with what another says where this one says nothing.
    pub fn or(&self, other: &Self) -> Self {
        Self {
            host: self.host.clone().or_else(|| other.host.clone()),
            scheme: self.scheme.clone().or_else(|| other.scheme.clone()),
            port: self.port.or(other.port),
        }
    }

    /// Whether this leads to the server of a context: it says nothing else of it.
    pub fn leads_to(&self, own: &Self) -> bool {
        // TLS where nothing was said of it so far: the same port of the same host.
        let is_tls = self.scheme.as_deref() == Some("https");
        let scheme = match (&own.scheme, own.port) {
            (None, Some(_)) if is_tls => self.scheme.clone(),
            (scheme, _) => scheme.clone(),
        };
        let own = Self { scheme, ..own.clone() };
        matches!((own.url(), self.or(&own).url()), (Ok(own), Ok(url)) if own == url)
    }

    /// Whether the other's host is this one's, or this one names none.
    pub fn may_be_at(&self, other: &Self) -> bool {
        let host = |host: &Option<String>| Self { host: host.clone(), ..Self::default() }.url();
        self.host.is_none()
            || matches!((host(&self.host), host(&other.host)), (Ok(a), Ok(b)) if a == b)
    }

    /// `SCHEME://HOST:PORT`, in one spelling.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn url(&self) -> Result<String> {
        if let Some(scheme) = self.scheme.as_deref().filter(|s| !matches!(*s, "http" | "https")) {
            let said = format!("scheme {scheme:?} is neither http nor https");
            return Err(wrong(said, "--scheme http"));
        }
        let Some(host) = &self.host else {
            let scheme = self.scheme.as_deref().unwrap_or("http");
            return Ok(format!("{scheme}://{HOST}:{}", self.port.unwrap_or(PORT)));
        };
        let host = host_in_url(host)?;
        // v1 spoke https on 443 unless told otherwise; a loopback host is an embedded server.
        let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        let scheme = self.scheme.as_deref().unwrap_or(if local { "http" } else { "https" });
        let usual = if scheme == "https" { 443 } else { PORT };
        Ok(format!("{scheme}://{host}:{}", self.port.unwrap_or(usual)))
    }
}

/// The host as a URL has it. A whole address is a frequent guess: it is taken apart for the user.
fn host_in_url(host: &str) -> Result<String> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let alone = match inner.parse::<Ipv6Addr>() {
        Ok(address) => Some(format!("[{address}]")),
        Err(_) => Some(host.to_owned()).filter(|h| !h.is_empty() && h.chars().all(is_name)),
    };
    let url = alone.and_then(|host| Url::parse(&format!("http://{host}")).ok());
    if let Some(host) = url.as_ref().and_then(Url::host_str) {
        return Ok(host.to_owned());
    }
    let address = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
    let url = Url::parse(&address).ok();
    let hint = url.as_ref().and_then(|url| {
        let scheme = host.contains("://").then(|| format!(" --scheme {}", url.scheme()));
        let port = url.port().map(|port| format!(" --port {port}"));
        let (scheme, port) = (scheme.unwrap_or_default(), port.unwrap_or_default());
        Some(format!("--host {}{port}{scheme}", url.host_str()?))
    });
    let hint = hint.unwrap_or_else(|| "--host 127.0.0.1 --port 8080 --scheme http".to_owned());
    Err(wrong(format!("host {host:?} must be a name or an IP address alone"), hint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (host, found) in [
            ("::1", "[::1]"),
            ("[0:0::1]", "[::1]"),
            ("dispatch.example.org", "dispatch.example.org"),
            ("Dispatch.Example.ORG", "dispatch.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
        ] {
            assert_eq!(host_in_url(host).unwrap(), found, "{host}");
        }
        for (guess, hint) in [
            ("http://h.example:8080/v1", "--host h.example --port 8080 --scheme http"),
            ("127.0.0.1:8080", "--host 127.0.0.1 --port 8080"),
            ("", "--host 127.0.0.1 --port 8080 --scheme http"),
        ] {
            let error = host_in_url(guess).unwrap_err();
            assert_eq!(error.downcast_ref::<crate::hint::Wrong>().unwrap().hint, hint);
        }
    }

    #[test]
    fn what_is_said_goes_before_what_is_usual() {
        let url = |context: Value| Address::of(&context).url().unwrap();
        assert_eq!(url(json!({})), "http://127.0.0.1:8080");
        assert_eq!(url(json!({"host": ""})), "http://127.0.0.1:8080");
        assert_eq!(url(json!({"host": "localhost"})), "http://localhost:8080");
        assert_eq!(url(json!({"host": "H.example"})), "https://h.example:443");
        assert_eq!(url(json!({"host": "h", "scheme": "http", "port": 81})), "http://h:81");
        assert!(Address::of(&json!({"scheme": "ftp"})).url().is_err());
        let v1 = Address::of(&json!({"host": "localhost", "port": 8443}));
        let given = |context: Value| Address::of(&context);
        assert!(given(json!({"scheme": "https"})).leads_to(&v1));
        assert!(given(json!({"host": "LOCALHOST", "port": 8443})).leads_to(&v1));
        assert!(!given(json!({"scheme": "https", "port": 443})).leads_to(&v1));
        let tls = Address::of(&json!({"host": "h", "port": 1, "scheme": "https"}));
        assert!(!given(json!({"scheme": "http"})).leads_to(&tls));
        let (a, b) = (Address::of(&json!({"host": "A"})), Address::of(&json!({"host": "a"})));
        assert!(a.may_be_at(&b) && Address::default().may_be_at(&b));
        assert!(!a.may_be_at(&Address::of(&json!({"host": "b"}))));
    }
}
