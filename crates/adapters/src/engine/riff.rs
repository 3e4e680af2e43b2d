//! riff, which is retired: a deployer of its core or its Knative runtime for each deployment.
//! Knative is its heir.

use std::sync::Arc;

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

const CORE: Resource =
    Resource { version: "core.projectriff.io/v1alpha1", kind: "Deployer", plural: "deployers" };
const KNATIVE: Resource =
    Resource { version: "knative.projectriff.io/v1alpha1", kind: "Deployer", plural: "deployers" };

const RUNTIME: Setting = Setting::new(
    "runtime",
    Of::Choice(&["core", "knative"]),
    "riff's runtime: `core` has one pod for each function, `knative` scales by calls.",
)
.default("core");
const REACH: Setting = Setting::new(
    "reach",
    Of::Choice(&["service", "proxy", "ingress"]),
    "How calls reach pods: by the service's name (the server runs in the cluster), through the API \
     server's proxy (`core` only), or by the deployer's public URL.",
)
.default("service");

const SETTINGS: &[Setting] = &[
    shared::KUBECONFIG_FILE,
    shared::KUBECONFIG,
    shared::CONTEXT,
    shared::NAMESPACE,
    RUNTIME,
    REACH,
    shared::INGRESS,
    shared::SERVICE_ACCOUNT,
    shared::PULL_SECRETS,
    shared::NODE_LABEL_PREFIX,
    shared::CPU,
    shared::MIN_SCALE,
    shared::MAX_SCALE,
    shared::READY_TIMEOUT,
];

/// Makes engines of the type `riff`.
pub struct Riff;

#[async_trait]
impl EngineType for Riff {
    fn name(&self) -> &'static str {
        "riff"
    }

    fn about(&self) -> &'static str {
        "riff's deployers on Kubernetes; riff is retired, and Knative is its heir"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let options = Options::read(&config, 0)?;
        let knative = config.text(RUNTIME.name) == Some("knative");
        let reach = match config.text(REACH.name) {
            Some("proxy") if knative => {
                return Err(refused("reach: proxy needs runtime: core, which makes a service"));
            }
            Some("proxy") => Reach::Proxy,
            Some("ingress") => Reach::Ingress,
            _ => Reach::Service,
        };
        let cluster = shared::cluster(&config)?;
        let kind = Deployers { knative, reach, options: options.clone() };
        Ok(Arc::new(Foreign::new(config.name, cluster, kind, options, beside)?))
    }
}

enum Reach {
    Service,
    Proxy,
    Ingress,
}

struct Deployers {
    knative: bool,
    reach: Reach,
    options: Options,
}

impl Kind for Deployers {
    fn primary(&self) -> Resource {
        if self.knative { KNATIVE } else { CORE }
    }

    fn objects(&self, deployment: &Deployment, image: &str) -> Vec<(Resource, Value)> {
        let resource = self.primary();
        // Both runtimes set PORT themselves.
        let mut pod = pod::spec(deployment, image, &self.options, false);
        if !self.knative {
            pod["terminationGracePeriodSeconds"] = json!(pod::timeout_seconds(deployment));
        }
        let policy = match self.reach {
            Reach::Ingress => "External",
            Reach::Service | Reach::Proxy => "ClusterLocal",
        };
        let labels = pod::labels(deployment);
        let mut spec = json!({
            "ingressPolicy": policy,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        });
        if self.knative {
            spec["containerConcurrency"] = json!(deployment.concurrency.max(1));
            let Options { min_scale, max_scale, .. } = self.options;
            spec["scale"] = json!({"min": min_scale, "max": max_scale});
        }
        let object = json!({
            "apiVersion": resource.version, "kind": resource.kind,
            "metadata": pod::metadata(deployment), "spec": spec,
        });
        vec![(resource, object)]
    }

    fn judge(&self, object: &Value) -> Observed {
        let parts: &[&str] = match self.knative {
            true => &["ConfigurationReady", "RouteReady"],
            false => &["DeploymentReady", "ServiceReady", "IngressReady"],
        };
        conditions::judge(object, parts)
    }

    fn address(&self, cluster: &Cluster, object: &Value) -> Result<Address> {
        let status = &object["status"];
        let url = match self.reach {
            Reach::Proxy => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let url = cluster.proxy_url(name, "80");
                return Ok(Address { url, host: None, proxied: true });
            }
            Reach::Service => &status["address"]["url"],
            Reach::Ingress => &status["url"],
        };
        let ingress = self.options.ingress.as_deref();
        let ingress = ingress.filter(|_| matches!(self.reach, Reach::Ingress));
        Address::told("riff's deployer", url, ingress)
    }
}
