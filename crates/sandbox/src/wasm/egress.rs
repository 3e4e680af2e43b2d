//! The egress of a component: the function's rules, and the trust for its TLS.

use dispatch_driver::{Error, Result};
use dispatch_model::code;
use tokio::net::TcpStream;
use wasmtime_wasi_http::Error as HttpError;

use super::http_client::{Tls, Trust};
use crate::egress::{Egress as Rules, Refusal};

/// Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    rules: Rules,
    /// Set when there are rules.
    pub tls: Option<Trust>,
}

impl Egress {
    /// # Errors
    /// `Fault::Caller` when an entry is not a host; `Fault::Ours` without certificates to trust.
    pub async fn new(entries: &[String], to_machine: bool, tls: &Tls) -> Result<Self> {
        let rules = Rules::new(entries, to_machine);
        let rules = rules.map_err(|v| Error::caller(code::ENGINE003, v.to_string()))?;
        let tls = if entries.is_empty() { None } else { Some(tls.trust().await?) };
        Ok(Self { rules, tls })
    }

    pub async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<TcpStream, HttpError> {
        self.rules.connect(host, port).await.map_err(|refusal| match refusal {
            Refusal::NotNamed(_) => HttpError::HttpRequestDenied,
            Refusal::Closed { .. } => HttpError::DestinationIpProhibited,
            Refusal::NoAddress { .. } => HttpError::DnsError { rcode: None, info_code: None },
            Refusal::Unreachable { error, .. } => HttpError::Connect(error),
        })
    }
}
