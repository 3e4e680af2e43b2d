//! Structured logs on stderr, as text or JSON.
//!
//! `DISPATCH_LOG` selects what is logged (`info`, `dispatch_server=debug`, …). Values of secrets
//! are of types that show nothing, so there is nothing to strip here.

use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Starts logging; once in a process.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_env("DISPATCH_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,hyper=warn"));
    // Where a line cannot be written (a full disk, a reader that left), saying so on the same
    // stream would fail as well, and that as a panic in whatever wanted to log.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match format {
        Format::Text => builder.with_target(false).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}
