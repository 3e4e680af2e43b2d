//! The cookies of a browser: its session, and a sign-in that was begun.

use axum::http::HeaderValue;

use crate::app::sign_in::BROWSER_LIFE;
use crate::authn::cookie;

const PENDING: &str = "dispatch_signin";
const SECURE_PENDING: &str = "__Host-dispatch_signin";

fn is_secure(public: &str) -> bool {
    public.starts_with("https://")
}

pub fn pending_name(public: &str) -> &'static str {
    if is_secure(public) { SECURE_PENDING } else { PENDING }
}

pub fn session(public: &str, token: &str, life_s: u64) -> HeaderValue {
    made(public, cookie::name(public), token, life_s)
}

pub fn no_session(public: &str) -> HeaderValue {
    made(public, cookie::name(public), "", 0)
}

pub fn pending(public: &str, sealed: &str) -> HeaderValue {
    made(public, pending_name(public), sealed, BROWSER_LIFE.as_secs())
}

pub fn no_pending(public: &str) -> HeaderValue {
    made(public, pending_name(public), "", 0)
}

/// Lax: a provider's answer is a link of another site to this one, which must bring the cookie.
fn made(public: &str, name: &str, value: &str, life_s: u64) -> HeaderValue {
    let secure = if is_secure(public) { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}");
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_other_sites_and_neighbours_do_not_get_at_it() {
        let seen = session("https://d.example", "t", 60);
        let wanted =
            "__Host-dispatch_session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(seen, wanted);
        let seen = no_session("http://127.0.0.1:8080");
        assert_eq!(seen, "dispatch_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
