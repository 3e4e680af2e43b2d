//! What a caller wants run.

use std::sync::Arc;

use dispatch_model::{Name, OrgName, RawJson, Tags};

/// A run somebody asked for. The JSON parts were checked by [`super::json::raw`], once.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub org: OrgName,
    pub function: Name,
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
}
