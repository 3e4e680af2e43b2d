//! What a sign-in needs to know of the request that makes it.

use std::net::IpAddr;
use std::sync::Arc;

use dispatch_model::session::SessionClient;

#[derive(Debug, Clone)]
pub struct Opening {
    pub from: IpAddr,
    pub client: SessionClient,
    pub request_id: Arc<str>,
}
