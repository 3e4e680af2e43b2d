//! Where a sign-in may lead: to a path of this server, or to a command on the browser's own
//! machine. To nowhere else, or a link to this server could lead people anywhere.

use dispatch_model::Violation;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::signin::Aim;

/// Longest address and state, in bytes.
const MAX_TEXT: usize = 2_048;
/// Length of a challenge: SHA-256 as base64url (RFC 7636, 4.2).
const CHALLENGE: usize = 43;

/// What a sign-in by browser is begun with.
#[derive(Debug, Clone, Default, Deserialize, Serialize, utoipa::IntoParams, utoipa::ToSchema)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Where to go after it: a path of this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rd: Option<String>,
    /// Name of the identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Where a command waits: `http://127.0.0.1:PORT/…`. It is given a code for its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// base64url(SHA-256(verifier)) of that command (RFC 7636, S256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// Given back to that command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// # Errors
/// The parameter that leads elsewhere.
pub fn aim(wanted: &Wanted, public: &str) -> Result<Aim, Violation> {
    let Some(redirect) = &wanted.redirect else {
        let path = wanted.rd.as_deref().filter(|rd| !rd.is_empty());
        let path = path.map(|rd| here(rd, public)).transpose()?.unwrap_or_default();
        return Ok(Aim::Page { path });
    };
    let redirect = of_this_machine(redirect)?.into();
    let required = |field: &str| Violation::new(field, "is required beside redirect");
    let challenge = wanted.code_challenge.clone().ok_or_else(|| required("code_challenge"))?;
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if challenge.len() != CHALLENGE || !challenge.chars().all(base64url) {
        let rule = "must be base64url(SHA-256(verifier)), 43 characters";
        return Err(Violation::new("code_challenge", rule));
    }
    let state = wanted.state.clone().unwrap_or_default();
    if state.len() > MAX_TEXT {
        return Err(Violation::new("state", format!("must be at most {MAX_TEXT} bytes long")));
    }
    Ok(Aim::Command { redirect, state, challenge })
}

/// A path of this server, also when it is written as a whole address.
fn here(rd: &str, public: &str) -> Result<String, Violation> {
    let wrong = || Violation::new("rd", "must be a path of this server, such as /docs/");
    // Browsers read a backslash as a slash, and leave out tabs and line ends.
    if rd.len() > MAX_TEXT || rd.contains('\\') || rd.chars().any(char::is_control) {
        return Err(wrong());
    }
    let base = Url::parse(public).map_err(|_| wrong())?;
    let url = base.join(rd).map_err(|_| wrong())?;
    let same =
        url.origin() == base.origin() && url.username().is_empty() && url.password().is_none();
    let written = rd.starts_with('/') && !rd.starts_with("//") || rd.starts_with(public);
    // After dots are resolved, a path may begin with two slashes: a host, to a browser.
    if !same || !written || url.path().starts_with("//") {
        return Err(wrong());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", url.path()))
}

/// Where v1's CLI waits, if a path of this server hands it a session.
pub fn of_v1s_cli(path: &str) -> Option<Url> {
    let query = path.strip_prefix("/v1/iam/redirect?")?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, redirect) = pairs.find(|(name, _)| name == "redirect")?;
    of_this_machine(&redirect).ok()
}

/// # Errors
/// When it is no address of the machine that opens it.
pub fn of_this_machine(redirect: &str) -> Result<Url, Violation> {
    let rule = "must be http://127.0.0.1:PORT, http://localhost:PORT or http://[::1]:PORT";
    let wrong = || Violation::new("redirect", rule);
    if redirect.len() > MAX_TEXT {
        return Err(wrong());
    }
    let mut url = Url::parse(redirect).map_err(|_| wrong())?;
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !local || url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://dispatch.example.org";

    #[test]
    fn a_sign_in_leads_to_this_server_only() {
        let seen = |rd: &str| here(rd, PUBLIC).ok();
        assert_eq!(seen("/docs/?a=b").as_deref(), Some("/docs/?a=b"));
        assert_eq!(seen("https://dispatch.example.org/v1/x").as_deref(), Some("/v1/x"));
        for wrong in [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example",
            "/\t/evil.example",
            "/.//evil.example",
            "/x/..//evil.example",
            "javascript:alert(1)",
            "https://dispatch.example.org.evil.example/",
            "https://dispatch.example.org@evil.example/",
            "https:evil.example",
            "docs",
            "http://dispatch.example.org/",
        ] {
            assert_eq!(seen(wrong), None, "{wrong}");
        }
        assert_eq!(seen(&format!("/{}", "x".repeat(MAX_TEXT))), None);
    }

    #[test]
    fn a_command_waits_on_the_browsers_own_machine() {
        for good in ["http://127.0.0.1:4/catcher?x=1", "http://localhost:4/", "http://[::1]:4/"] {
            of_this_machine(good).unwrap();
        }
        for wrong in [
            "http://evil.example/",
            "http://localhost.evil.example:1/",
            "http://127.0.0.1@evil.example/",
            "http://x:y@127.0.0.1/",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "javascript://127.0.0.1/%0aalert(1)",
            "http://10.0.0.1/",
            "//127.0.0.1/",
            "",
        ] {
            assert_eq!(of_this_machine(wrong).unwrap_err().field, "redirect", "{wrong}");
        }
    }

    #[test]
    fn a_command_proves_that_the_sign_in_is_its_own() {
        let wanted = |challenge: Option<&str>| Wanted {
            redirect: Some("http://127.0.0.1:4/".into()),
            code_challenge: challenge.map(str::to_owned),
            ..Wanted::default()
        };
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(matches!(aim(&wanted(Some(good)), PUBLIC), Ok(Aim::Command { .. })));
        for wrong in [None, Some(""), Some("short"), Some(&*"=".repeat(CHALLENGE))] {
            let field = aim(&wanted(wrong), PUBLIC).unwrap_err().field;
            assert_eq!(field, "code_challenge", "{wrong:?}");
        }
    }
}
