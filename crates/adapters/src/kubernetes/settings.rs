//! What all engines on Kubernetes can be set, and its reading.

use std::path::Path;
use std::time::Duration;

use dispatch_driver::engine_type::refused;
use dispatch_driver::{Config, Result, Setting, Value};

use super::access::Access;
use super::cluster::Cluster;

pub const KUBECONFIG_FILE: Setting = Setting::new(
    "kubeconfigFile",
    Value::Text,
    "Path of a kubeconfig on the server's machine; without it and `kubeconfig`, the pod's own \
     account is used.",
);
pub const KUBECONFIG: Setting =
    Setting::new("kubeconfig", Value::Text, "Text of a kubeconfig, instead of a file.").secret();
pub const CONTEXT: Setting =
    Setting::new("context", Value::Text, "Context of the kubeconfig; its current one without it.");
pub const NAMESPACE: Setting = Setting::new(
    "namespace",
    Value::Text,
    "Namespace of everything the engine makes; that of the context or pod without it.",
);
pub const SERVICE_ACCOUNT: Setting =
    Setting::new("serviceAccount", Value::Text, "Service account of the functions' pods.");
pub const PULL_SECRETS: Setting = Setting::new(
    "imagePullSecrets",
    Value::List,
    "Names of secrets in the namespace by which functions' images are pulled.",
);
pub const NODE_LABEL_PREFIX: Setting = Setting::new(
    "nodeLabelPrefix",
    Value::Text,
    "Put before each label that a function requires to make the label its node must have: \
     `example.org/` makes `gpu` `example.org/gpu`.",
);
pub const CPU: Setting =
    Setting::new("cpu", Value::Text, "CPU that a pod asks for, such as `100m`.").default("100m");
pub const MIN_SCALE: Setting =
    Setting::new("minScale", Value::Number, "Least number of pods of a function.");
pub const MAX_SCALE: Setting =
    Setting::new("maxScale", Value::Number, "Largest number of pods of a function.").default("10");
pub const READY_TIMEOUT: Setting = Setting::new(
    "readyTimeout",
    Value::Duration,
    "Longest time until a new deployment can serve, its image pulled.",
)
.default("5m");
pub const INGRESS: Setting = Setting::new(
    "ingress",
    Value::Url,
    "Where calls are sent, with the function's host name as Host, when that name does not resolve \
     here: the URL of the cluster's ingress.",
);

/// What a pod gets beside what its deployment says.
#[derive(Debug, Clone)]
pub struct Options {
    pub service_account: Option<String>,
    pub pull_secrets: Vec<String>,
    pub node_label_prefix: String,
    pub cpu: Option<String>,
    pub min_scale: u64,
    pub max_scale: u64,
    pub ready_timeout: Duration,
    pub ingress: Option<String>,
}

impl Options {
    /// `least`: the smallest number of pods the kind of engine can have.
    pub fn read(config: &Config, least: u64) -> Result<Self> {
        let text = |key| config.text(key).map(str::to_owned);
        let max_scale = config.number(MAX_SCALE.name).unwrap_or(10);
        let min_scale = config.number(MIN_SCALE.name).unwrap_or(least);
        if min_scale < least {
            return Err(refused(format!("minScale is {min_scale}; it must be at least {least}")));
        }
        if max_scale < min_scale.max(1) {
            let text = format!("maxScale is {max_scale}; it must be at least {}", min_scale.max(1));
            return Err(refused(text));
        }
        Ok(Self {
            service_account: text(SERVICE_ACCOUNT.name),
            pull_secrets: config.list(PULL_SECRETS.name).into_iter().map(str::to_owned).collect(),
            node_label_prefix: text(NODE_LABEL_PREFIX.name).unwrap_or_default(),
            cpu: text(CPU.name),
            min_scale,
            max_scale,
            ready_timeout: config.duration(READY_TIMEOUT.name).unwrap_or(Duration::from_secs(300)),
            ingress: config.url(INGRESS.name).map(str::to_owned),
        })
    }
}

/// The cluster of an engine.
pub fn cluster(config: &Config) -> Result<Cluster> {
    let context = config.text(CONTEXT.name);
    let access = match (config.text(KUBECONFIG.name), config.text(KUBECONFIG_FILE.name)) {
        (Some(_), Some(_)) => {
            return Err(refused("kubeconfig and kubeconfigFile are both set; give one"));
        }
        (Some(text), None) => Access::of_kubeconfig(text, None, context)?,
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| refused(format!("kubeconfigFile {file:?}: {error}")))?;
            let folder = Path::new(file).parent().unwrap_or(Path::new("/"));
            Access::of_kubeconfig(&text, Some(folder), context)?
        }
        (None, None) if context.is_some() => {
            return Err(refused("context needs kubeconfigFile or the secret kubeconfig"));
        }
        (None, None) => Access::of_pod()?,
    };
    Ok(Cluster::new(access, config.text(NAMESPACE.name)))
}
