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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => builder.with_target(false).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}
