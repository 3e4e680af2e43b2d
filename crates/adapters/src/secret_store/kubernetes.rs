//! Secrets of a Kubernetes cluster, read through its API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::secret_store::{SecretRead, SecretReference, failed, refused};
use dispatch_driver::{Error, Result, SecretStore, SecretValues};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::kubernetes::access::Access;
use crate::kubernetes::cluster::{Cluster, Resource};
use crate::kubernetes::failure::Failure;

const SECRETS: Resource = Resource { version: "v1", kind: "Secret", plural: "secrets" };
/// Longest time of one reading.
const LIMIT: Duration = Duration::from_secs(10);

/// How a cluster is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A kubeconfig on the server's machine; without one the pod's own account is used.
    #[serde(default)]
    pub kubeconfig_file: Option<PathBuf>,
    /// Context of the kubeconfig; its current one without it.
    #[serde(default)]
    pub context: Option<String>,
}

/// The secrets of one cluster.
pub struct KubernetesSecrets {
    cluster: Cluster,
}

impl KubernetesSecrets {
    /// # Errors
    /// When there is no account to reach the cluster with.
    pub fn new(settings: &Settings, credentials: bool) -> Result<Self> {
        if credentials {
            return Err(refused("credentials is of type vault; name a kubeconfig_file instead"));
        }
        let access = match &settings.kubeconfig_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    refused(format!("kubeconfig_file {}: {error}", file.display()))
                })?;
                let folder = file.parent().unwrap_or(Path::new("/"));
                Access::of_kubeconfig(&text, Some(folder), settings.context.as_deref())?
            }
            None if settings.context.is_some() => {
                return Err(refused("context needs a kubeconfig_file"));
            }
            None => Access::of_pod()?,
        };
        Ok(Self { cluster: Cluster::new(access, None) })
    }
}

#[async_trait]
impl SecretStore for KubernetesSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretRead> {
        let (namespace, name) = reference
            .path
            .split_once('/')
            .ok_or_else(|| refused("it is not named by NAMESPACE/NAME"))?;
        let reading = self.cluster.read(namespace, &SECRETS, name);
        let read = tokio::time::timeout(LIMIT, reading).await;
        let object = read.map_err(|_| failed("the cluster does not answer"))?.map_err(error)?;
        Ok(SecretRead {
            values: values(&object["data"]),
            version: object["metadata"]["resourceVersion"].as_str().map(str::to_owned),
            lease: None,
        })
    }
}

fn values(data: &Value) -> SecretValues {
    let mut values = SecretValues::new();
    for (key, value) in data.as_object().into_iter().flatten() {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        // Handlers get texts: what is none they get as the cluster writes it, in base 64.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|_| value.as_str().unwrap_or_default().to_owned());
        values.insert(key.clone(), Zeroizing::new(text));
    }
    values
}

/// The cluster's own words are the operator's alone.
fn error(failure: Failure) -> Error {
    let status = failure.status;
    let words = &failure.message;
    tracing::warn!(?status, %words, "a secret of Kubernetes cannot be read");
    match status {
        Some(StatusCode::NOT_FOUND) => refused("there is no such secret in the namespace"),
        Some(StatusCode::FORBIDDEN) => refused("the cluster does not let this server read it"),
        Some(status) => failed(format!("the cluster answered {}", status.as_u16())),
        None => failed("the cluster does not answer"),
    }
}
