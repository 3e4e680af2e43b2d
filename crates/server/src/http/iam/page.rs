//! The few pages people see: which provider, name and password, and how it ended. They hold no
//! script, and may not be shown within other pages.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use dispatch_wire::IdentityProvider;

use super::target::Wanted;
use crate::app::Error;
use crate::http::error::Failure;
use crate::http::refused::Refusal;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;\
    padding:0 1rem;color:#222;background:#fff}h1{font-size:1.3rem}a.way,button{display:block;\
    width:100%;box-sizing:border-box;margin:.6rem 0;padding:.6rem;border:1px solid #888;\
    border-radius:.4rem;background:#f4f4f4;color:#222;text-align:center;text-decoration:none;\
    font:inherit;cursor:pointer}label{display:block;margin:.6rem 0}input{display:block;width:100%;\
    box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #888;border-radius:.4rem}\
    .wrong{color:#a00}code{background:#f4f4f4}@media(prefers-color-scheme:dark){body{color:#ddd;\
    background:#1b1b1b}a.way,button,input,code{background:#2b2b2b;color:#ddd}.wrong{color:#f88}}";

/// Which provider. The links lead back to the start.
pub fn choice(providers: &[IdentityProvider], wanted: &Wanted) -> Response {
    let links: String = providers
        .iter()
        .map(|provider| {
            let wanted = Wanted { provider: Some(provider.name.clone()), ..wanted.clone() };
            let query = serde_urlencoded::to_string(&wanted).unwrap_or_default();
            let (query, title) = (escaped(&query), escaped(&provider.title));
            format!("<a class=\"way\" href=\"/v1/iam/oauth2/start?{query}\">{title}</a>")
        })
        .collect();
    shown(StatusCode::OK, "Sign in to Dispatch", &links)
}

/// A name and a password.
pub fn form(provider: &IdentityProvider, wanted: &Wanted, wrong: Option<&Error>) -> Response {
    let wanted = Wanted { provider: Some(provider.name.clone()), ..wanted.clone() };
    let fields = [
        ("provider", &wanted.provider),
        ("rd", &wanted.rd),
        ("redirect", &wanted.redirect),
        ("code_challenge", &wanted.code_challenge),
        ("state", &wanted.state),
    ];
    let hidden: String = fields
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name, escaped(value))))
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"))
        .collect();
    let said = wrong.map(|error| format!("<p class=\"wrong\">{}</p>", escaped(&error.to_string())));
    let body = format!(
        "{}<form method=\"post\" action=\"/v1/iam/oauth2/start\">{hidden}\
         <label>Name<input name=\"username\" autocomplete=\"username\" autofocus required></label>\
         <label>Password<input name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required></label><button>Sign in</button></form>",
        said.unwrap_or_default()
    );
    let status = wrong.map_or(StatusCode::OK, |error| {
        StatusCode::from_u16(Failure::status_of(error)).unwrap_or(StatusCode::UNAUTHORIZED)
    });
    let response = shown(status, &format!("Sign in with {}", provider.title), &body);
    match wrong {
        Some(error) => told(response, error),
        None => response,
    }
}

/// What was refused is for the audit log too.
pub fn told(mut response: Response, error: &Error) -> Response {
    if let Some(refusal) = Refusal::of(error) {
        response.extensions_mut().insert(refusal);
    }
    response
}

pub fn failed(error: &Error) -> Response {
    let status =
        StatusCode::from_u16(Failure::status_of(error)).unwrap_or(StatusCode::UNAUTHORIZED);
    let body = format!(
        "<p class=\"wrong\">{}</p><p><code>{}</code></p>\
         <a class=\"way\" href=\"/v1/iam/oauth2/start\">Sign in again</a>",
        escaped(&error.to_string()),
        error.code()
    );
    told(shown(status, "Signing in did not work", &body), error)
}

/// Another site's link leads to a command on this machine: the person says whether they meant it.
/// The link is the page's own, so that following it is no other site's doing.
pub fn asks(command: &str, uri: &Uri) -> Response {
    let (command, to) = (escaped(command), escaped(&uri.to_string()));
    let body = format!(
        "<p>A web page asks to give your sign-in to a command on this machine, which waits at \
         <code>{command}</code>.</p><p>If you have not started one, close this window.</p>\
         <a class=\"way\" href=\"{to}\">I have started it: sign it in</a>"
    );
    shown(StatusCode::OK, "Did you start this?", &body)
}

pub fn signed_out(provider: Option<&str>) -> Response {
    let again = "<a class=\"way\" href=\"/v1/iam/oauth2/start\">Sign in again</a>";
    let body = match provider {
        // A link, as browsers hold what a form leads to against the page's own rules.
        Some(url) => format!(
            "<p>Your identity provider may still know this browser.</p>\
             <a class=\"way\" href=\"{}\">Sign out there too</a>{again}",
            escaped(url)
        ),
        None => again.to_owned(),
    };
    shown(StatusCode::OK, "You are signed out", &body)
}

pub fn signed_in() -> Response {
    let body = "<p>You may close this window, or look at <a href=\"/docs/\">the API</a>.</p>\
                <form method=\"post\" action=\"/v1/iam/oauth2/logout\">\
                <button>Sign out</button></form>";
    shown(StatusCode::OK, "You are signed in", body)
}

fn shown(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    // After a form, browsers hold what it leads to against form-action too.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
                  base-uri 'none'; form-action 'self' http://127.0.0.1:* http://localhost:* \
                  http://[::1]:*";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Text within HTML, also between quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_others_wrote_is_text_in_a_page() {
        let attack = "\"><script>alert('x')</script>";
        let provider = IdentityProvider {
            name: "corp".into(),
            title: attack.into(),
            password: true,
            ..IdentityProvider::default()
        };
        let wanted =
            Wanted { state: Some(attack.into()), rd: Some(attack.into()), ..Wanted::default() };
        let error = Error::Busy(attack.to_owned());
        for response in [
            choice(std::slice::from_ref(&provider), &wanted),
            form(&provider, &wanted, Some(&error)),
            failed(&error),
        ] {
            assert_eq!(response.headers()["x-frame-options"], "DENY");
            let text = text(response).await;
            assert!(!text.contains("<script") && !text.contains("\">\">"), "{text}");
        }
    }
}
