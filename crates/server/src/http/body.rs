//! Bodies of requests: bounded by kind, read once, with errors that name the field.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use dispatch_model::Violation;
use dispatch_wire as wire;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::error::Failure;
use crate::app::function::SOURCE_SETTING;
use crate::app::{App, Error};
use crate::config::Limits;

/// Room for everything in a function but its source.
const BESIDE_SOURCE: u64 = 4 << 20;

/// A checked JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A shape that may stand in a body, and how long the body may be.
pub trait Shape: DeserializeOwned {
    /// Bytes, and the setting that says so.
    fn limit(limits: &Limits) -> (u64, &'static str) {
        (limits.max_body_bytes, "limits.max_body_bytes")
    }
}

impl Shape for wire::Api {}
impl Shape for wire::Application {}
impl Shape for wire::BaseImage {}
impl Shape for wire::BootstrapClaim {}
impl Shape for wire::Engine {}
impl Shape for wire::Group {}
impl Shape for wire::Image {}
impl Shape for wire::ImagePolicy {}
impl Shape for wire::Organization {}
impl Shape for wire::Policy {}
impl Shape for wire::Role {}
impl Shape for wire::Rollout {}
impl Shape for wire::Secret {}
impl Shape for wire::SecretRollback {}
impl Shape for wire::ServiceAccount {}
impl Shape for wire::DeviceSignIn {}
impl Shape for wire::SignIn {}

impl Shape for wire::Function {
    fn limit(limits: &Limits) -> (u64, &'static str) {
        (limits.max_source_bytes.div_ceil(3) * 4 + BESIDE_SOURCE, SOURCE_SETTING)
    }
}

impl<T: Shape> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (limit, setting) = T::limit(&app.limits);
        let bytes = read(request, limit, setting).await?;
        Ok(Self(wire::parse(&bytes)?))
    }
}

/// Reads a body of at most `limit` bytes.
pub async fn read(request: Request, limit: u64, setting: &'static str) -> Result<Bytes, Failure> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    to_bytes(request.into_body(), most).await.map_err(|error| {
        let too_large =
            std::error::Error::source(&error).is_some_and(|cause| cause.is::<LengthLimitError>());
        if too_large {
            return Error::TooLarge { what: "the body", limit, setting }.into();
        }
        Violation::new("body", "could not be read to its end").into()
    })
}
