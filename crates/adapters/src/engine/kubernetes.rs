//! Plain Kubernetes: a Deployment, a Service and a HorizontalPodAutoscaler for each deployment.

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::engine_type::refused;
use dispatch_driver::{
    Beside, Config, Deployment, Engine, EngineType, Observed, Result, Setting, Value as Of,
};
use serde_json::{Value, json};

use crate::kubernetes::cluster::{Cluster, Resource, SERVICES};
use crate::kubernetes::foreign::{Address, Foreign, Kind};
use crate::kubernetes::pod::{self, DEPLOYMENT_LABEL, PORT};
use crate::kubernetes::settings::{self as shared, Options};

const DEPLOYMENTS: Resource =
    Resource { version: "apps/v1", kind: "Deployment", plural: "deployments" };
// v1 is what every cluster has, old and new.
const AUTOSCALERS: Resource = Resource {
    version: "autoscaling/v1",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
};
const INGRESSES: Resource =
    Resource { version: "networking.k8s.io/v1", kind: "Ingress", plural: "ingresses" };

const REACH: Setting = Setting::new(
    "reach",
    Of::Choice(&["service", "proxy", "ingress"]),
    "How calls reach pods: by the service's name (the server runs in the cluster), through the API \
     server's proxy, or through an ingress.",
)
.default("service");
const INGRESS_DOMAIN: Setting = Setting::new(
    "ingressDomain",
    Of::Text,
    "Domain of the host names that an ingress is given; needed by `reach: ingress`.",
);
const INGRESS_CLASS: Setting =
    Setting::new("ingressClass", Of::Text, "Class of the ingresses that are made.");
const TARGET_CPU: Setting = Setting::new(
    "targetCpu",
    Of::Number,
    "CPU use, in percent of `cpu`, from which on there are more pods.",
)
.default("80");

const SETTINGS: &[Setting] = &[
    shared::KUBECONFIG_FILE,
    shared::KUBECONFIG,
    shared::CONTEXT,
    shared::NAMESPACE,
    REACH,
    shared::INGRESS,
    INGRESS_DOMAIN,
    INGRESS_CLASS,
    shared::SERVICE_ACCOUNT,
    shared::PULL_SECRETS,
    shared::NODE_LABEL_PREFIX,
    shared::CPU,
    TARGET_CPU,
    shared::MIN_SCALE,
    shared::MAX_SCALE,
    shared::READY_TIMEOUT,
];

/// Makes engines of the type `kubernetes`.
pub struct Kubernetes;

#[async_trait]
impl EngineType for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn about(&self) -> &'static str {
        "a Kubernetes cluster, with a Deployment and a Service for each function"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let options = Options::read(&config, 1)?;
        let reach = match config.text(REACH.name) {
            Some("proxy") => Reach::Proxy,
            Some("ingress") => {
                let domain = config.text(INGRESS_DOMAIN.name);
                let domain = domain.ok_or_else(|| refused("reach: ingress needs ingressDomain"))?;
                let class = config.text(INGRESS_CLASS.name).map(str::to_owned);
                Reach::Ingress { domain: domain.to_owned(), class }
            }
            _ => Reach::Service,
        };
        let cluster = shared::cluster(&config)?;
        let target_cpu = config.number(TARGET_CPU.name).unwrap_or(80);
        let kind = Deployments { reach, target_cpu, options: options.clone() };
        Ok(Arc::new(Foreign::new(config.name, cluster, kind, options, beside)?))
    }
}

enum Reach {
    Service,
    Proxy,
    Ingress { domain: String, class: Option<String> },
}

struct Deployments {
    reach: Reach,
    target_cpu: u64,
    options: Options,
}

impl Deployments {
    fn deployment(&self, deployment: &Deployment, image: &str) -> Value {
        let name = pod::name(deployment.id);
        let mut spec = pod::spec(deployment, image, &self.options, true);
        // Calls under way end within their own time.
        spec["terminationGracePeriodSeconds"] = json!(pod::timeout_seconds(deployment));
        let labels = pod::labels(deployment);
        json!({
            "apiVersion": DEPLOYMENTS.version, "kind": DEPLOYMENTS.kind,
            "metadata": pod::metadata(deployment),
            // No replicas: they are the autoscaler's.
            "spec": {
                "selector": {"matchLabels": {DEPLOYMENT_LABEL: name}},
                "progressDeadlineSeconds": self.options.ready_timeout.as_secs().max(1),
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        })
    }

    fn service(deployment: &Deployment) -> Value {
        let name = pod::name(deployment.id);
        json!({
            "apiVersion": SERVICES.version, "kind": SERVICES.kind,
            "metadata": pod::metadata(deployment),
            "spec": {
                "selector": {DEPLOYMENT_LABEL: name},
                "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
            },
        })
    }

    fn autoscaler(&self, deployment: &Deployment) -> Value {
        json!({
            "apiVersion": AUTOSCALERS.version, "kind": AUTOSCALERS.kind,
            "metadata": pod::metadata(deployment),
            "spec": {
                "minReplicas": self.options.min_scale,
                "maxReplicas": self.options.max_scale,
                "targetCPUUtilizationPercentage": self.target_cpu,
                "scaleTargetRef": {
                    "apiVersion": DEPLOYMENTS.version,
                    "kind": DEPLOYMENTS.kind,
                    "name": pod::name(deployment.id),
                },
            },
        })
    }

    fn ingress(deployment: &Deployment, domain: &str, class: Option<&String>) -> Value {
        let name = pod::name(deployment.id);
        let mut spec = json!({"rules": [{
            "host": format!("{name}.{domain}"),
            "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"name": "http"}}},
            }]},
        }]});
        if let Some(class) = class {
            spec["ingressClassName"] = json!(class);
        }
        json!({
            "apiVersion": INGRESSES.version, "kind": INGRESSES.kind,
            "metadata": pod::metadata(deployment), "spec": spec,
        })
    }
}

impl Kind for Deployments {
    fn primary(&self) -> Resource {
        DEPLOYMENTS
    }

    fn objects(&self, deployment: &Deployment, image: &str) -> Vec<(Resource, Value)> {
        let mut objects = vec![
            (DEPLOYMENTS, self.deployment(deployment, image)),
            (SERVICES, Self::service(deployment)),
            (AUTOSCALERS, self.autoscaler(deployment)),
        ];
        if let Reach::Ingress { domain, class } = &self.reach {
            objects.push((INGRESSES, Self::ingress(deployment, domain, class.as_ref())));
        }
        objects
    }

    fn judge(&self, object: &Value) -> Observed {
        let status = &object["status"];
        let generation = object["metadata"]["generation"].as_i64();
        if status["observedGeneration"].as_i64() < generation {
            return Observed::Pending { message: "not seen by its controller yet".to_owned() };
        }
        let conditions = status["conditions"].as_array();
        let condition = |kind: &str| {
            conditions.into_iter().flatten().find(|condition| condition["type"] == *kind)
        };
        let says = |condition: &Value| {
            let text = |key: &str| condition[key].as_str().unwrap_or_default();
            format!("{}: {}", text("reason"), text("message"))
        };
        let workers = status["availableReplicas"].as_u64().unwrap_or(0);
        if workers > 0 {
            return Observed::Ready { workers: u32::try_from(workers).unwrap_or(u32::MAX) };
        }
        if let Some(failure) = condition("ReplicaFailure").filter(|c| c["status"] == "True") {
            return Observed::Failed { message: says(failure) };
        }
        match condition("Progressing") {
            Some(stuck) if stuck["status"] == "False" => Observed::Failed { message: says(stuck) },
            Some(progress) => Observed::Pending { message: says(progress) },
            None => Observed::Pending { message: "no pod can serve yet".to_owned() },
        }
    }

    fn address(&self, cluster: &Cluster, object: &Value) -> Result<Address> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = &cluster.namespace;
        Ok(match &self.reach {
            Reach::Service => Address {
                url: format!("http://{name}.{namespace}.svc/"),
                host: None,
                proxied: false,
            },
            Reach::Proxy => {
                Address { url: cluster.proxy_url(name, "http"), host: None, proxied: true }
            }
            Reach::Ingress { domain, .. } => Address::by_host(
                &format!("http://{name}.{domain}/"),
                self.options.ingress.as_deref(),
            ),
        })
    }

    fn beside(&self) -> Vec<Resource> {
        let mut beside = vec![SERVICES, AUTOSCALERS];
        if matches!(self.reach, Reach::Ingress { .. }) {
            beside.push(INGRESSES);
        }
        beside
    }
}
