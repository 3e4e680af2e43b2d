//! Which hosts a function may send HTTP requests to: none but those its `egress` names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use dispatch_driver::Result;
use dispatch_model::Violation;
use wasmtime_wasi_http::Error as HttpError;

use super::http_client::Tls;

/// Clouds answer questions about the machine itself here, mostly with credentials.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The rules of one function, and the trust for its TLS. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    rules: Arc<[Rule]>,
    /// Set when there are rules.
    pub tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    host: Host,
    /// Any, when absent.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    /// Every name that ends so: begins with a dot.
    Below(String),
    Address(IpAddr),
}

impl Egress {
    /// # Errors
    /// `Fault::Caller` when an entry is not a host; `Fault::Ours` without certificates to trust.
    pub async fn new(entries: &[String]) -> Result<Self> {
        let parsed: std::result::Result<Arc<[Rule]>, Violation> =
            entries.iter().map(|entry| Rule::parse(entry)).collect();
        let rules = parsed.map_err(|v| {
            let message = v.to_string();
            dispatch_driver::Error::caller(dispatch_model::code::ENGINE003, message)
        })?;
        let tls = if rules.is_empty() { None } else { Some(Tls::system().await?) };
        Ok(Self { rules, tls })
    }

    /// Where to connect to for a host: an address that was looked up once and checked, so that no
    /// second look-up can lead elsewhere.
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<SocketAddr, HttpError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if !self.rules.iter().any(|rule| rule.allows(host, port)) {
            return Err(HttpError::HttpRequestDenied);
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, port));
        }
        let dns = |_| HttpError::DnsError { rcode: None, info_code: None };
        let found: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(dns)?.collect();
        let open = found.iter().find(|address| !is_closed(address.ip()));
        open.copied().ok_or(HttpError::DestinationIpProhibited)
    }
}

impl Rule {
    fn parse(entry: &str) -> std::result::Result<Self, Violation> {
        let wrong = || {
            let rule = format!("{entry:?} must be a host, *.host, an address, or one with :port");
            Violation::new("egress", rule)
        };
        if let Ok(address) = entry.parse::<SocketAddr>() {
            let host = Host::Address(address.ip());
            return Ok(Self { host, port: Some(address.port()) });
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (entry, None),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let below = name.strip_prefix('*');
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let host = below.map_or(name.as_str(), |rest| rest.strip_prefix('.').unwrap_or_default());
        if host.is_empty() || !host.chars().all(letter) {
            return Err(wrong());
        }
        let host = match below {
            Some(rest) => Host::Below(rest.to_owned()),
            None => Host::Name(name),
        };
        Ok(Self { host, port })
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        // An address is only ever meant by itself, not by the end of its digits.
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.host == Host::Address(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.host {
            Host::Name(only) => name == *only,
            Host::Below(end) => name.len() > end.len() && name.ends_with(end),
            Host::Address(_) => false,
        }
    }
}

/// Addresses a name must not lead to: the machine itself, its link, and clouds' metadata.
fn is_closed(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return true;
    }
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, host: &str, port: u16) -> bool {
        Rule::parse(entry).unwrap().allows(host, port)
    }

    #[test]
    fn an_entry_names_hosts() {
        assert!(allows("example.org", "Example.ORG", 443));
        assert!(!allows("example.org", "www.example.org", 443));
        assert!(!allows("example.org", "example.org.evil.net", 443));
        assert!(allows("*.example.org", "a.b.example.org", 80));
        assert!(!allows("*.example.org", "example.org", 80));
        assert!(!allows("*.example.org", "evilexample.org", 80));
        assert!(allows("example.org:8080", "example.org", 8080));
        assert!(!allows("example.org:8080", "example.org", 80));
        assert!(allows("127.0.0.1:80", "127.0.0.1", 80));
        assert!(!allows("127.0.0.1:80", "127.0.0.1", 81));
        assert!(allows("[::1]:80", "::1", 80));
        assert!(allows("::1", "::1", 80));
        assert!(!allows("*.0.0.1", "127.0.0.1", 80) || Rule::parse("*.0.0.1").is_err());
    }

    #[test]
    fn entries_that_name_no_host_are_refused() {
        for entry in ["", "*", "*.", "*example.org", "a b", "http://a.org", "a.org:x", "a/b"] {
            assert!(Rule::parse(entry).is_err(), "{entry:?}");
        }
    }

    #[test]
    fn names_do_not_lead_to_the_machine() {
        let closed = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
        ];
        for address in closed {
            assert!(is_closed(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.216.34", "10.0.0.1", "2606:2800:220:1::1"] {
            assert!(!is_closed(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_for_loopback_is_refused() {
        let egress = Egress::new(&["localhost".to_owned()]).await.unwrap();
        let refused = egress.resolve("localhost", 80).await;
        assert!(matches!(refused, Err(HttpError::DestinationIpProhibited)), "{refused:?}");
        let denied = egress.resolve("example.org", 80).await;
        assert!(matches!(denied, Err(HttpError::HttpRequestDenied)), "{denied:?}");
    }
}
