//! Who calls: the extractor every handler that needs a caller begins with.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::error::Failure;
use super::refused::Known;
use super::request_id::RequestId;
use crate::app::{App, Caller, Error};

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|info| info.0).ok_or_else(|| {
            Error::internal(anyhow::anyhow!("the listener gives no address of the peer"))
        })?;
        let RequestId(id) = parts.extensions.get().cloned().unwrap_or_else(RequestId::made);
        app.authn.meet(&app.store, &parts.headers, &parts.method).await?;
        let caller = app.authn.authenticate(&parts.headers, &parts.method, peer, id)?;
        if let Some(known) = parts.extensions.get::<Known>() {
            known.tell(&caller);
        }
        Ok(caller)
    }
}
