//! The HTTP client of a driver: one for each engine, whose connections are used again.

use std::time::Duration;

use dispatch_driver::{Result, engine_type};
use reqwest::Certificate;

/// Servers close connections that are idle for longer, which would fail the next call on them.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A client that follows no redirects: what is sent with a call is for its engine alone.
///
/// # Errors
/// When `caFile`, which holds certificates (PEM) trusted besides the machine's, cannot be used.
pub fn client(connect_timeout: Duration, ca_file: Option<&str>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_idle_timeout(KEEP_ALIVE)
        .user_agent(concat!("dispatch/", env!("CARGO_PKG_VERSION")));
    for certificate in certificates(ca_file).map_err(engine_type::refused)? {
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| engine_type::refused(error.to_string()))
}

/// What `caFile` holds, if it is set.
///
/// # Errors
/// Why it cannot be used, with the setting's name.
pub fn certificates(ca_file: Option<&str>) -> std::result::Result<Vec<Certificate>, String> {
    let Some((path, pem)) = read(ca_file)? else { return Ok(Vec::new()) };
    let refused = |why: String| format!("settings.caFile, {path}: {why}");
    let all = Certificate::from_pem_bundle(&pem);
    match all.map_err(|error| refused(error.to_string()))? {
        none if none.is_empty() => Err(refused("there is no certificate (PEM) in it".to_owned())),
        all => Ok(all),
    }
}

/// The file's path and what is in it.
pub fn read(ca_file: Option<&str>) -> std::result::Result<Option<(&str, Vec<u8>)>, String> {
    let Some(path) = ca_file else { return Ok(None) };
    let pem = std::fs::read(path).map_err(|error| format!("settings.caFile, {path}: {error}"))?;
    Ok(Some((path, pem)))
}

/// Counts the calls under way for as long as each is waited for.
#[derive(Debug, Default)]
pub struct InFlight(std::sync::atomic::AtomicU64);

impl InFlight {
    pub fn enter(&self) -> Entered<'_> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Entered(self)
    }

    pub fn count(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// One call under way, also when its future is dropped.
pub struct Entered<'a>(&'a InFlight);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
