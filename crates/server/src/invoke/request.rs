//! What a caller wants run.

use std::sync::Arc;

use dispatch_model::function_version::Qualifier;
use dispatch_model::{Name, OrgName, RawJson, Tags, Violation};

use super::settings::Settings;
use crate::app::{Error, Result};

/// The header that names a request, so that a repeat of it is known as one.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Longest such name, in bytes.
const MAX_KEY: usize = 255;
/// Most secrets, and most services, a request may name.
const MAX_NAMES: usize = 64;

/// A run somebody asked for. The JSON parts were checked by [`super::json::raw`], once.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub org: OrgName,
    pub function: Name,
    /// Which of its versions; the one that serves, or its canary, when absent.
    pub qualifier: Option<Qualifier>,
    /// Whether the caller waits for the end.
    pub blocking: bool,
    /// `null` for the handler when absent.
    pub input: Option<RawJson>,
    /// Secrets the handler gets beside the function's own.
    pub secrets: Vec<String>,
    pub services: Vec<String>,
    /// The HTTP request behind the run, when the gateway made it.
    pub http_context: Option<RawJson>,
    /// The event behind the run, when there is one.
    pub event: Option<RawJson>,
    pub tags: Tags,
    /// A repeat with the same key (and function) returns the first run.
    pub idempotency_key: Option<String>,
    /// Goes on into the handler's context and the log.
    pub request_id: Arc<str>,
}

impl RunRequest {
    /// A blocking request with nothing in it.
    pub fn new(org: OrgName, function: Name, request_id: Arc<str>) -> Self {
        Self {
            org,
            function,
            qualifier: None,
            blocking: true,
            input: None,
            secrets: Vec::new(),
            services: Vec::new(),
            http_context: None,
            event: None,
            tags: Tags::new(),
            idempotency_key: None,
            request_id,
        }
    }

    /// Rules that a request has to keep before anything is done for it.
    pub fn check(&self, settings: &Settings) -> Result<()> {
        let limit = settings.max_payload_bytes;
        if self.input.as_ref().is_some_and(|input| input.get().len() > limit) {
            let setting = "runs.max_payload_bytes";
            return Err(Error::TooLarge { what: "the input", limit: limit as u64, setting });
        }
        for (field, names) in [("secrets", &self.secrets), ("services", &self.services)] {
            if names.len() > MAX_NAMES {
                let rule = format!("has {} entries, at most {MAX_NAMES} are allowed", names.len());
                return Err(Violation::new(field, rule).into());
            }
        }
        match self.idempotency_key.as_ref().map(String::len) {
            Some(0) => Err(Violation::new(IDEMPOTENCY_KEY, "must not be empty").into()),
            Some(length) if length > MAX_KEY => {
                let rule = format!("is {length} bytes long, at most {MAX_KEY} are allowed");
                Err(Violation::new(IDEMPOTENCY_KEY, rule).into())
            }
            _ => Ok(()),
        }
    }
}
