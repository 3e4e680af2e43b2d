//! Where a request comes from that nobody has signed in for yet.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use dispatch_model::session::SessionClient;

use super::request_id::RequestId;
use crate::app::App;
use crate::signin::Opening;

/// The address and the id of a request.
#[derive(Debug, Clone)]
pub struct Origin {
    pub from: IpAddr,
    pub request_id: Arc<str>,
}

impl Origin {
    pub fn opening(&self, client: SessionClient) -> Opening {
        Opening { from: self.from, client, request_id: self.request_id.clone() }
    }
}

impl FromRequestParts<Arc<App>> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let peer = peer.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
        let from = app.authn.address(&parts.headers, peer);
        let RequestId(id) = parts.extensions.get().cloned().unwrap_or_else(RequestId::made);
        Ok(Self { from, request_id: id })
    }
}
