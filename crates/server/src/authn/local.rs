//! What a request must look like to be the local user's: from this machine, to this machine, and
//! not sent by some web page in the user's browser.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Checks a request without credentials in local mode.
pub fn check(headers: &HeaderMap, peer: SocketAddr) -> Result<(), &'static str> {
    if !peer.ip().to_canonical().is_loopback() {
        return Err("without credentials only this machine is served");
    }
    // What cannot be read is not this machine's name, nor the same site.
    let text = |name| {
        let value: Option<&http::HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or("\u{fffd}"))
    };
    // A web page whose name was bound to a loopback address still sends its own name.
    if let Some(host) = text(HOST).filter(|host| !is_loopback(host)) {
        tracing::warn!(host, "refused a local request by its Host header");
        return Err("the Host header must name this machine: localhost, 127.0.0.1 or [::1]");
    }
    if let Some(name) = ["x-forwarded-for", "forwarded"].iter().find(|n| headers.contains_key(**n))
    {
        tracing::warn!(name, "refused a local request that a proxy has passed on");
        return Err("requests that come through a proxy must sign in: set auth.public_url");
    }
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err("requests of other web sites are refused");
    }
    if let Some(origin) = text(ORIGIN) {
        let authority = origin.split_once("://").map(|(_, rest)| rest);
        if authority.is_none() || authority != text(HOST) {
            return Err("requests of other web sites are refused");
        }
    }
    Ok(())
}

/// Whether an authority (`host[:port]`) is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(peer: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let map = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        check(&map.collect(), peer.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_this_machine_and_no_web_page() {
        let here = "127.0.0.1:5000";
        assert!(outcome(here, &[]));
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            let leaked: &'static str = host;
            assert!(outcome(here, &[("host", leaked)]), "{host}");
        }
        assert!(outcome("[::ffff:127.0.0.1]:9", &[]));
        assert!(!outcome("10.0.0.1:5000", &[]));
        assert!(!outcome(here, &[("host", "evil.example")]));
        assert!(!outcome(here, &[("host", "localhost.evil.example:8080")]));
        assert!(!outcome(here, &[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
        assert!(!outcome(here, &[("host", "localhost"), ("origin", "https://evil.example")]));
        assert!(!outcome(here, &[("host", "localhost"), ("origin", "null")]));
        assert!(!outcome(here, &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")]));
        assert!(!outcome(here, &[("host", "localhost"), ("forwarded", "for=10.0.0.1")]));
        let own = [("host", "localhost:8080"), ("origin", "http://localhost:8080")];
        assert!(outcome(here, &own));
    }
}
