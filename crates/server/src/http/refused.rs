//! Requests that were refused go to the audit log: 401 and 403. Neither tokens nor queries do.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use dispatch_model::Name;

use super::request_id::RequestId;
use crate::app::audit::Refused;
use crate::app::{App, Caller, Error};
use crate::authn::ORGANIZATION_HEADER;

/// Who made a request, for whoever looks at its answer. Among the request's extensions.
#[derive(Clone, Default)]
pub struct Known(Arc<OnceLock<Caller>>);

impl Known {
    pub fn tell(&self, caller: &Caller) {
        // A second extractor tells the same.
        let _ = self.0.set(caller.clone());
    }
}

/// Why a request was refused. Among the answer's extensions.
#[derive(Clone)]
pub struct Refusal {
    action: Option<&'static str>,
    text: String,
}

impl Refusal {
    /// Of an error that is one.
    pub fn of(error: &Error) -> Option<Self> {
        let action = match error {
            Error::Unauthenticated { .. }
            | Error::Beyond { .. }
            | Error::Identity { .. }
            | Error::Attempts { .. } => None,
            Error::Forbidden { action, .. } => Some(*action),
            _ => return None,
        };
        Some(Self { action, text: error.to_string() })
    }
}

/// What is kept of a request until it is answered.
struct Asked {
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    from: Option<IpAddr>,
    organization: Option<HeaderValue>,
    request_id: Option<RequestId>,
}

/// The layer.
pub async fn layer(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let known = Known::default();
    request.extensions_mut().insert(known.clone());
    let extensions = request.extensions();
    let asked = Asked {
        method: request.method().clone(),
        uri: request.uri().clone(),
        route: extensions.get().cloned(),
        from: extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| app.authn.address(request.headers(), peer.0)),
        organization: request.headers().get(ORGANIZATION_HEADER).cloned(),
        request_id: extensions.get().cloned(),
    };
    let response = next.run(request).await;
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        asked.refused(&app, known.0.get(), refusal);
    }
    response
}

impl Asked {
    fn refused(&self, app: &App, caller: Option<&Caller>, refusal: &Refusal) {
        let (resource, name) = match &self.route {
            Some(route) => thing(route.as_str(), self.uri.path()),
            None => ("", ""),
        };
        app.audit_refused(&Refused {
            caller,
            from: self.from,
            organization: self.organization.as_ref().and_then(|value| value.to_str().ok()),
            method: self.method.as_str(),
            action: refusal.action,
            resource,
            name,
            request_id: self.request_id.as_ref().map_or("", |RequestId(id)| id),
            text: &refusal.text,
        });
    }
}

/// What a path is about: the word of its route, and the name in it if it is one.
fn thing<'a>(route: &'a str, path: &'a str) -> (&'a str, &'a str) {
    let mut words = route.split('/').skip(2);
    let first = words.next().unwrap_or_default();
    let resource = if first == "iam" { words.next().unwrap_or(first) } else { first };
    let mut both = route.split('/').zip(path.split('/'));
    let named = both.find(|(word, _)| matches!(*word, "{name}" | "{id}"));
    let name = named.map_or("", |(_, name)| name);
    (resource, if Name::dotted(name).is_ok() { name } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_thing() {
        let seen = |route, path| thing(route, path);
        assert_eq!(seen("/v1/secret", "/v1/secret"), ("secret", ""));
        assert_eq!(seen("/v1/secret/{name}", "/v1/secret/db"), ("secret", "db"));
        let version = "/v1/function/{name}/version/{version}";
        assert_eq!(seen(version, "/v1/function/f/version/2"), ("function", "f"));
        assert_eq!(seen("/v1/iam/policy/{name}", "/v1/iam/policy/p"), ("policy", "p"));
        assert_eq!(seen("/v1/secret/{name}", "/v1/secret/%00<"), ("secret", ""));
        let long = format!("/v1/secret/{}", "x".repeat(2_000));
        assert_eq!(seen("/v1/secret/{name}", &long), ("secret", ""));
    }
}
