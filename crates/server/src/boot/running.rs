//! A server that serves, and how it stops.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lock::Lock;
use crate::app::App;
use crate::authn::one_time::Credential;
use crate::gateway::tls::Certificates;

/// A running server. Call [`Running::stop`] for a graceful end.
pub struct Running {
    pub api: SocketAddr,
    pub gateway_http: SocketAddr,
    pub gateway_https: SocketAddr,
    pub data_dir: PathBuf,
    /// SHA-256 of the certificate the gateway made for itself.
    pub fingerprint: String,
    pub app: Arc<App>,
    /// The one-time credential this start made; secret.
    pub credential: Option<Credential>,
    pub(super) stop: CancellationToken,
    pub(super) listeners: Vec<JoinHandle<()>>,
    pub(super) tasks: TaskTracker,
    pub(super) grace: Duration,
    pub(super) lock: Lock,
}

impl Running {
    /// The certificate the gateway made for itself: what clients that shall trust it are given.
    pub fn certificate(&self) -> PathBuf {
        Certificates::own_file(&self.data_dir)
    }

    /// Sentences for the operator: who is admin, what the machine lacks.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.app.authn.is_local_mode() {
            notes.push(
                "no policy is configured: only this machine is served, and its requests are the \
                 administrator's"
                    .to_owned(),
            );
        } else if !self.app.authorizer.was_configured() {
            let first = match self.app.authn.has_bootstrap_user() || self.credential.is_some() {
                true => "`dispatch manage bootstrap` makes the first",
                false => "configure bootstrap.user and bootstrap.public_key to make the first",
            };
            notes.push(format!(
                "no policy is configured: whoever signs in may do nothing yet; {first}"
            ));
        }
        for engine in self.app.engines.iter() {
            let can = engine.capabilities();
            let languages = can.languages.join(", ");
            notes.push(format!("engine {} runs {languages}", engine.name()));
            for sentence in can.missing {
                notes.push(format!("engine {}: {sentence}", engine.name()));
            }
        }
        notes
    }

    /// Takes no more requests, lets those under way finish within the bound, writes what is to be
    /// written, and stops the engines.
    pub async fn stop(self) {
        self.stop.cancel();
        for listener in self.listeners {
            let abort = listener.abort_handle();
            if tokio::time::timeout(self.grace, listener).await.is_err() {
                tracing::warn!("requests were still under way at the stop");
                abort.abort();
            }
        }
        self.tasks.close();
        if tokio::time::timeout(self.grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("controllers were still at work at the stop");
        }
        if let Err(error) = self.app.audit.flush().await {
            tracing::warn!(%error, "refused requests were not written to the audit log");
        }
        self.app.invoker.shutdown().await;
        for engine in self.app.engines.iter() {
            engine.shutdown().await;
        }
        self.app.store.close().await;
        drop(self.lock);
    }
}
