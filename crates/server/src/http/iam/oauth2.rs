//! `/v1/iam/oauth2` and `/v1/iam/redirect`: the sign-in of a browser, for its own sake or for a
//! command that waits on the browser's machine.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dispatch_driver::identity::{Answer, SecretText};
use dispatch_model::session::SessionClient;
use dispatch_model::{Violation, code};
use dispatch_wire::ErrorBody;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::target::{self, Wanted};
use super::{cookies, page};
use crate::app::sign_in::{Finished, with_query};
use crate::app::{App, Caller, Error};
use crate::authn::cookie;
use crate::http::error::{Failure, plain};
use crate::http::openapi::Problems;
use crate::http::origin::Origin;
use crate::http::query::Parameters;
use crate::signin::Aim;

/// Largest answer of a provider, and largest form, in bytes.
const MAX_FORM: usize = 32 << 10;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(start, password))
        .routes(routes!(callback))
        .routes(routes!(logout))
        .routes(routes!(redirect))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_FORM))
}

/// Begins the sign-in of a browser. Where there are several ways, a page asks which.
#[utoipa::path(get, path = "/v1/iam/oauth2/start", tag = "iam", operation_id = "iam_oauth2_start",
    params(Wanted),
    responses((status = 302, description = "To the identity provider."),
        (status = 200, description = "A page that asks how, or for a name and a password."),
        (status = 501, body = ErrorBody), Problems), security(()))]
async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Failure> {
    let providers: Vec<_> = app.identity_providers();
    let people: Vec<_> = providers.into_iter().filter(|p| p.browser || p.password).collect();
    if people.is_empty() {
        return Ok(no_browsers());
    }
    let aim = target::aim(&wanted, app.authn.public_url())?;
    // Whichever way it leads to a command, v1's too.
    let waits = match &aim {
        Aim::Command { redirect, .. } => Some(redirect.clone()),
        Aim::Page { path } => target::of_v1s_cli(path).map(String::from),
    };
    if let Some(command) = waits
        && cookie::is_of_another_site(&headers)
    {
        return Ok(page::asks(&command, &uri));
    }
    let chosen = match (&wanted.provider, people.as_slice()) {
        (Some(name), all) => all.iter().find(|known| known.name == *name).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|known| known.name.as_str()).collect();
            let rule = format!("is none that browsers sign in with: {}", names.join(", "));
            Violation::new("provider", rule)
        })?,
        (None, [only]) => only,
        (None, several) => return Ok(page::choice(several, &wanted)),
    };
    if !chosen.browser {
        return Ok(page::form(chosen, &wanted, None));
    }
    let begun = app.sign_in_begin(&chosen.name, aim).await?;
    let kept = cookies::pending(app.authn.public_url(), &begun.sealed);
    Ok(moved(&begun.url, &[kept]))
}

/// The answer to the form for a name and a password.
#[derive(Deserialize, utoipa::ToSchema)]
struct Typed {
    username: String,
    password: String,
    #[serde(flatten)]
    wanted: Wanted,
}

/// Signs in with a name and a password typed in the page.
#[utoipa::path(post, path = "/v1/iam/oauth2/start", tag = "iam",
    operation_id = "iam_oauth2_password",
    request_body(content = Typed, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Signed in."),
        (status = 401, description = "The page again, with what was wrong.")), security(()))]
async fn password(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    typed: bytes::Bytes,
) -> Result<Response, Failure> {
    let public = app.authn.public_url();
    if !app.identity_providers().iter().any(|known| known.password) {
        return Ok(no_browsers());
    }
    // Else another site could sign a browser in as somebody of its own choice.
    cookie::check_site(&headers, &Method::POST, public)
        .map_err(|why| Error::Unauthenticated { message: why.to_owned() })?;
    let Typed { username, password, wanted } = serde_urlencoded::from_bytes(&typed)
        .map_err(|_| Violation::new("body", "must be a form with username and password"))?;
    let (aim, password) = (target::aim(&wanted, public)?, SecretText::new(password));
    let name = wanted.provider.clone().unwrap_or_default();
    let opening = origin.opening(SessionClient::Browser);
    match app.sign_in_page(opening, &name, &username, &password, aim).await {
        Ok(finished) => Ok(see_other(arrived(&app, finished))),
        Err(error @ (Error::Identity { .. } | Error::Attempts { .. })) => {
            let known = app.identity_providers().into_iter().find(|known| known.name == name);
            match known.filter(|known| known.password) {
                Some(known) => Ok(page::form(&known, &wanted, Some(&error))),
                None => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Where identity providers send browsers back to.
#[utoipa::path(get, path = "/v1/iam/oauth2/callback", tag = "iam",
    operation_id = "iam_oauth2_callback",
    params(("code" = Option<String>, Query, description = "What the provider gives."),
        ("state" = Option<String>, Query, description = "What the sign-in was begun with.")),
    responses((status = 302, description = "Signed in."),
        (status = 401, description = "A page that says why not.")), security(()))]
async fn callback(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Response {
    let public = app.authn.public_url().to_owned();
    let query = query.unwrap_or_default();
    let kept = cookie::value(&headers, cookies::pending_name(&public)).ok().flatten();
    let answer = (query.len() <= MAX_FORM).then(|| serde_urlencoded::from_str::<Answer>(&query));
    let (Some(sealed), Some(Ok(answer))) = (kept, answer) else {
        let message = "no sign-in was begun in this browser, or it was begun too long ago";
        return page::failed(&Error::Identity {
            code: code::IDENTITY005,
            message: message.to_owned(),
        });
    };
    let opening = origin.opening(SessionClient::Browser);
    let outcome = app.sign_in_finish(opening, sealed, answer).await;
    if let Err(error @ Error::Attempts { .. }) = &outcome {
        // The same address may be visited again.
        return page::failed(error);
    }
    let over = cookies::no_pending(&public);
    let mut response = match outcome {
        Ok(finished) => arrived(&app, finished),
        Err(error) => match app.sign_in_aim(sealed) {
            // The command that waits is told too.
            Some(Aim::Command { redirect, state, .. }) => {
                let text = error.to_string();
                let pairs = [
                    ("error", "access_denied"),
                    ("error_description", text.as_str()),
                    ("state", state.as_str()),
                ];
                match with_query(&redirect, &pairs) {
                    Ok(url) => page::told(moved(&url, &[]), &error),
                    Err(_) => page::failed(&error),
                }
            }
            _ => page::failed(&error),
        },
    };
    response.headers_mut().append(header::SET_COOKIE, over);
    response
}

/// Signs a browser out, and shows where it is signed out at its provider too.
#[utoipa::path(post, path = "/v1/iam/oauth2/logout", tag = "iam",
    operation_id = "iam_oauth2_logout",
    responses((status = 200, description = "A page with the way to sign out at the provider."),
        Problems))]
async fn logout(caller: Caller, State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let public = app.authn.public_url().to_owned();
    let url = app.session_delete(&caller, crate::app::session::CURRENT).await?;
    let mut response = page::signed_out(url.as_deref());
    response.headers_mut().append(header::SET_COOKIE, cookies::no_session(&public));
    Ok(response)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Redirect {
    /// Where v1's CLI waits: an address of the browser's own machine.
    redirect: Option<String>,
}

/// Hands the session of a signed-in browser to v1's CLI; else signs it in first.
#[utoipa::path(get, path = "/v1/iam/redirect", tag = "iam", operation_id = "iam_redirect",
    params(Redirect),
    responses((status = 302, description = "To the CLI, with `cookie` in its query."),
        (status = 501, body = ErrorBody), Problems), security(()))]
async fn redirect(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
    Parameters(Redirect { redirect }): Parameters<Redirect>,
) -> Result<Response, Failure> {
    if app.identity_providers().is_empty() {
        return Ok(no_browsers());
    }
    let redirect = redirect.ok_or_else(|| Violation::new("redirect", "is required"))?;
    let to = target::of_this_machine(&redirect)?;
    let public = app.authn.public_url();
    let name = cookie::name(public);
    let held = cookie::value(&headers, name).ok().flatten();
    // A link of another site shall not give away the session of whoever follows it, nor begin one.
    if cookie::is_of_another_site(&headers) {
        return Ok(page::asks(to.as_str(), &uri));
    }
    match held.filter(|token| app.authn.sessions.find(token).is_ok()) {
        Some(token) => handed(&app, &to, token),
        None => {
            let back = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("redirect", &redirect)
                .finish();
            let back = format!("/v1/iam/redirect?{back}");
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("rd", &back)
                .finish();
            Ok(moved(&format!("/v1/iam/oauth2/start?{query}"), &[]))
        }
    }
}

/// To v1's CLI, with the cookie as it will send it.
fn handed(app: &App, to: &url::Url, token: &str) -> Result<Response, Failure> {
    let cookie = format!("{}={token}", cookie::name(app.authn.public_url()));
    Ok(moved(&with_query(to.as_str(), &[("cookie", &cookie)])?, &[]))
}

fn arrived(app: &App, finished: Finished) -> Response {
    let (path, token) = match finished {
        Finished::Command { redirect } => return moved(&redirect, &[]),
        Finished::Page { path, token } => (path, token),
    };
    let public = app.authn.public_url();
    let cookie = cookies::session(public, token.reveal(), app.authn.settings().session_s);
    let mut response = match path.as_str() {
        "" => page::signed_in(),
        // To a browser that is the end of a way that another site began.
        path => match target::of_v1s_cli(path) {
            Some(to) => handed(app, &to, token.reveal()).unwrap_or_else(Failure::into_response),
            None => moved(path, &[]),
        },
    };
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// So that a form is not sent again to where it leads.
fn see_other(mut response: Response) -> Response {
    if response.status() == StatusCode::FOUND {
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    response
}

fn moved(to: &str, cookies: &[header::HeaderValue]) -> Response {
    let Ok(to) = header::HeaderValue::from_str(to) else {
        return Failure(Error::internal(anyhow::anyhow!("an address is no header")))
            .into_response();
    };
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, to);
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    response
}

fn no_browsers() -> Response {
    let message = "browsers cannot sign in here, for the server has no identity provider \
                   (auth.providers_file); sign in with a service account";
    plain(StatusCode::NOT_IMPLEMENTED, code::IAM003, message)
}
