//! The session of a browser: a cookie, which the browser sends whoever made it send a request. So
//! what changes something must come from a page of this server.

use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method};

/// The name of the cookie; with the prefix where the server is reached by https, so that no
/// neighbouring host can set it (RFC 6265bis, 4.1.3.2).
pub const NAME: &str = "dispatch_session";
pub const SECURE_NAME: &str = "__Host-dispatch_session";

/// The name it has for browsers that reach the server there.
pub fn name(public: &str) -> &'static str {
    if public.starts_with("https://") { SECURE_NAME } else { NAME }
}

/// The value of the cookie of a name.
///
/// # Errors
/// When there are several of it: which would hold must not depend on their order.
pub fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Result<Option<&'a str>, String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| name.trim() == wanted);
    let first = found.next();
    match found.next() {
        None => Ok(first.map(|(_, value)| value.trim())),
        Some((name, _)) => Err(format!("the cookie {} is there more than once", name.trim())),
    }
}

/// Whether another site has made the browser send a request, be it by a link. Browsers say so; what
/// a person or a program opens is of no site.
pub fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("\u{fffd}"));
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// Whether a request with a cookie may be what it says: it only reads, or no other site is behind
/// it. Programs send neither header, and browsers at least one of them.
pub fn check_site(headers: &HeaderMap, method: &Method, public: &str) -> Result<(), &'static str> {
    const OTHER: &str = "with a cookie, requests of other web sites are refused";
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name| {
        let value: Option<&http::HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or("\u{fffd}"))
    };
    if is_of_another_site(headers) {
        return Err(OTHER);
    }
    match text(ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let authority = origin.split_once("://").map(|(_, rest)| rest);
            let host = text(HOST).is_some() && authority == text(HOST);
            if host || origin == public { Ok(()) } else { Err(OTHER) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn one_cookie_of_its_name_counts() {
        let seen = |pairs: &[_]| value(&headers(pairs), NAME).map(|v| v.map(str::to_owned));
        assert_eq!(seen(&[]), Ok(None));
        assert_eq!(seen(&[("cookie", "unset")]), Ok(None), "v1's CLI sends this");
        assert_eq!(seen(&[("cookie", "a=b; dispatch_session=x; c")]), Ok(Some("x".to_owned())));
        let split = [("cookie", "a=b"), ("cookie", "dispatch_session=y")];
        assert_eq!(seen(&split), Ok(Some("y".to_owned())));
        assert_eq!(seen(&[("cookie", "__Host-dispatch_session=y")]), Ok(None));
        assert_eq!(name("https://d.example"), SECURE_NAME);
        assert!(seen(&[("cookie", "dispatch_session=x; dispatch_session=y")]).is_err());
    }

    #[test]
    fn other_sites_may_not_make_a_browser_change_things() {
        let public = "https://dispatch.example.org";
        let outcome =
            |method: Method, pairs: &[_]| check_site(&headers(pairs), &method, public).is_ok();
        let host = ("host", "dispatch.internal:8080");
        assert!(outcome(Method::POST, &[host]), "a program");
        assert!(outcome(Method::POST, &[host, ("origin", "http://dispatch.internal:8080")]));
        assert!(outcome(Method::POST, &[host, ("origin", "https://dispatch.example.org")]));
        assert!(outcome(Method::POST, &[host, ("sec-fetch-site", "same-origin")]));
        for wrong in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://dispatch.example.org.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!outcome(Method::POST, &[host, wrong]), "{wrong:?}");
            assert!(!outcome(Method::DELETE, &[host, wrong]), "{wrong:?}");
        }
        assert!(!outcome(Method::POST, &[("origin", "https://evil.example")]));
        assert!(outcome(Method::GET, &[host, ("sec-fetch-site", "cross-site")]), "a link");
    }
}
