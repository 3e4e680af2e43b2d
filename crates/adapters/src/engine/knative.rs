//! Knative Serving: a Service for each deployment, which scales its pods by calls and down to none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::engine_type::refused;
use dispatch_driver::{
    Beside, Config, Deployment, Engine, EngineType, Observed, Result, Setting, Value as Of,
};
use serde_json::{Value, json};

use crate::kubernetes::cluster::{Cluster, Resource};
use crate::kubernetes::conditions;
use crate::kubernetes::foreign::{Address, Foreign, Kind};
use crate::kubernetes::pod;
use crate::kubernetes::settings::{self as shared, Options};

const SERVICES: Resource =
    Resource { version: "serving.knative.dev/v1", kind: "Service", plural: "services" };
/// Longest time that Serving keeps an idle pod when it is asked to.
const MAX_RETENTION: Duration = Duration::from_secs(3_600);

const CLUSTER_LOCAL: Setting = Setting::new(
    "clusterLocal",
    Of::Flag,
    "Makes services that are not reachable from outside of the cluster; `true` unless `ingress` is \
     set.",
);
const MAX_TIMEOUT: Setting = Setting::new(
    "maxTimeout",
    Of::Duration,
    "Longest time of a call that the installation allows: `max-revision-timeout-seconds` of its \
     `config-defaults`.",
)
.default("10m");

const SETTINGS: &[Setting] = &[
    shared::KUBECONFIG_FILE,
    shared::KUBECONFIG,
    shared::CONTEXT,
    shared::NAMESPACE,
    shared::INGRESS,
    CLUSTER_LOCAL,
    MAX_TIMEOUT,
    shared::SERVICE_ACCOUNT,
    shared::PULL_SECRETS,
    shared::NODE_LABEL_PREFIX,
    shared::CPU,
    shared::MIN_SCALE,
    shared::MAX_SCALE,
    shared::READY_TIMEOUT,
];

/// Makes engines of the type `knative`.
pub struct Knative;

#[async_trait]
impl EngineType for Knative {
    fn name(&self) -> &'static str {
        "knative"
    }

    fn about(&self) -> &'static str {
        "Knative Serving, which scales functions by their calls and down to none"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let options = Options::read(&config, 0)?;
        let chosen = config.text(CLUSTER_LOCAL.name).map(|word| word == "true");
        let cluster_local = chosen.unwrap_or(options.ingress.is_none());
        if cluster_local && options.ingress.is_some() {
            return Err(refused("ingress and clusterLocal: true exclude each other"));
        }
        let max_timeout = config.duration(MAX_TIMEOUT.name).unwrap_or(Duration::from_secs(600));
        let cluster = shared::cluster(&config)?;
        let kind = Services { cluster_local, max_timeout, options: options.clone() };
        Ok(Arc::new(Foreign::new(config.name, cluster, kind, options, beside)?))
    }
}

struct Services {
    cluster_local: bool,
    max_timeout: Duration,
    options: Options,
}

impl Kind for Services {
    fn primary(&self) -> Resource {
        SERVICES
    }

    fn objects(&self, deployment: &Deployment, image: &str) -> Vec<(Resource, Value)> {
        let mut metadata = pod::metadata(deployment);
        if self.cluster_local {
            metadata["labels"]["networking.knative.dev/visibility"] = json!("cluster-local");
        }
        // Serving sets PORT itself and refuses a container that does.
        let mut spec = pod::spec(deployment, image, &self.options, false);
        spec["containerConcurrency"] = json!(deployment.concurrency.max(1));
        let longest = self.max_timeout.as_secs().max(1);
        spec["timeoutSeconds"] = json!(pod::timeout_seconds(deployment).min(longest));
        let keep = deployment.idle.min(MAX_RETENTION).as_secs();
        let annotations = json!({
            "autoscaling.knative.dev/min-scale": self.options.min_scale.to_string(),
            "autoscaling.knative.dev/max-scale": self.options.max_scale.to_string(),
            "autoscaling.knative.dev/scale-to-zero-pod-retention-period": format!("{keep}s"),
        });
        let labels = pod::labels(deployment);
        let service = json!({
            "apiVersion": SERVICES.version, "kind": SERVICES.kind, "metadata": metadata,
            "spec": {"template": {
                "metadata": {"labels": labels, "annotations": annotations}, "spec": spec,
            }},
        });
        vec![(SERVICES, service)]
    }

    fn judge(&self, object: &Value) -> Observed {
        conditions::judge(object, &["ConfigurationsReady", "RoutesReady"])
    }

    fn address(&self, _cluster: &Cluster, object: &Value) -> Result<Address> {
        let ingress = self.options.ingress.as_deref();
        Address::told("Knative's service", &object["status"]["url"], ingress)
    }
}
