//! Functions as OpenFaaS's gateway has them.

use std::collections::BTreeMap;

use dispatch_driver::Deployment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::gateway::Flavour;
use super::settings::Settings;
use crate::words;

/// Where function images tell their health; OpenFaaS asks its own watchdog's paths otherwise.
const HEALTH: &str = "/healthz";

/// Name of a deployment's function.
pub fn name(id: Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

/// A function to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Function<'a> {
    pub service: String,
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    env_vars: BTreeMap<&'a str, String>,
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    /// `key=value` of the nodes it may run on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    secrets: &'a [String],
    limits: Resources,
}

#[derive(Serialize)]
struct Resources {
    memory: String,
}

impl<'a> Function<'a> {
    pub fn of(
        deployment: &'a Deployment,
        image: &'a str,
        flavour: Flavour,
        settings: &'a Settings,
    ) -> Self {
        let environment = deployment.environment.iter();
        let given = |value: &String| match flavour.scales {
            true => words::unexpanded(value),
            false => value.clone(),
        };
        let mut env_vars: BTreeMap<&str, String> =
            environment.map(|(name, value)| (name.as_str(), given(value))).collect();
        let concurrency = deployment.concurrency.max(1).to_string();
        env_vars.insert("DISPATCH_CONCURRENCY", concurrency.clone());
        let mut labels = BTreeMap::from([
            ("app.kubernetes.io/managed-by", "dispatch".to_owned()),
            ("io.dispatch/organization", words::label(deployment.org.as_str())),
            ("io.dispatch/function", words::label(deployment.function.as_str())),
            ("io.dispatch/version", deployment.version.to_string()),
            ("io.dispatch/deployment", deployment.id.to_string()),
        ]);
        if flavour.scales {
            labels.extend(scaling(deployment, settings, concurrency));
        }
        let annotations = match flavour.scales {
            true => BTreeMap::from([
                ("com.openfaas.health.http.path", HEALTH.to_owned()),
                ("com.openfaas.ready.http.path", HEALTH.to_owned()),
            ]),
            false => BTreeMap::new(),
        };
        Self {
            service: name(deployment.id),
            image,
            namespace: settings.namespace.as_deref(),
            env_vars,
            labels,
            annotations,
            constraints: deployment.require.iter().map(|(k, v)| format!("{k}={v}")).collect(),
            secrets: &settings.secrets,
            limits: Resources { memory: format!("{}Mi", deployment.memory_mib) },
        }
    }
}

/// How many replicas: labels of OpenFaaS on Kubernetes.
fn scaling(
    deployment: &Deployment,
    settings: &Settings,
    concurrency: String,
) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("com.openfaas.scale.min", settings.min_replicas.max(1).to_string()),
        // By calls at the same time, of which each replica takes so many.
        ("com.openfaas.scale.type", "capacity".to_owned()),
        ("com.openfaas.scale.target", concurrency),
    ];
    labels.extend(settings.max_replicas.map(|most| ("com.openfaas.scale.max", most.to_string())));
    if settings.min_replicas == 0 {
        let idle = format!("{}s", deployment.idle.as_secs().max(1));
        labels.push(("com.openfaas.scale.zero", "true".to_owned()));
        labels.push(("com.openfaas.scale.zero-duration", idle));
    }
    labels
}

/// How a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Those there should be.
    #[serde(default)]
    pub replicas: u32,
    #[serde(default, rename = "availableReplicas")]
    pub available: u32,
}

/// What a gateway says of itself.
#[derive(Debug, Deserialize)]
pub struct Info {
    pub provider: Provider,
}

#[derive(Debug, Deserialize)]
pub struct Provider {
    #[serde(rename = "provider", alias = "name", default)]
    pub name: String,
    #[serde(default)]
    pub orchestration: String,
    #[serde(default)]
    pub version: Version,
}

#[derive(Debug, Default, Deserialize)]
pub struct Version {
    #[serde(default)]
    pub release: String,
}

/// A line of a function's log.
#[derive(Deserialize)]
pub struct LogLine {
    pub text: String,
}
