//! The functions of a gateway, and their replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Flavour, NAMESPACES, missing, text};
use crate::containers::{Container, Containers};
use crate::expansion::expand;

/// Paths that are probed when a function's annotations name no other.
const PROBES: [(&str, &str); 2] =
    [("com.openfaas.health.http.path", "/_/health"), ("com.openfaas.ready.http.path", "/_/ready")];

/// All functions of all namespaces.
#[derive(Clone)]
pub struct Functions(Arc<Inner>);

struct Inner {
    containers: Containers,
    flavour: Flavour,
    client: reqwest::Client,
    functions: Mutex<BTreeMap<(String, String), Arc<Function>>>,
    secrets: Mutex<BTreeSet<(String, String)>>,
}

pub struct Function {
    pub name: String,
    namespace: String,
    /// As it was sent.
    pub spec: Value,
    flavour: Flavour,
    replicas: Mutex<Replicas>,
    calls: AtomicUsize,
}

#[derive(Default)]
struct Replicas {
    wanted: usize,
    starting: usize,
    running: Vec<Container>,
    /// What those printed that have ended by themselves.
    left: Vec<String>,
    failed: bool,
    deleted: bool,
}

impl Function {
    /// Where its replicas listen that calls go to.
    pub fn ports(&self) -> Vec<u16> {
        self.lock().running.iter().map(|container| container.port).collect()
    }

    /// The port whose turn it is.
    pub fn next(&self) -> Option<u16> {
        let ports = self.ports();
        let turn = self.calls.fetch_add(1, Ordering::Relaxed);
        (!ports.is_empty()).then(|| ports[turn % ports.len()])
    }

    pub fn wanted(&self) -> usize {
        self.lock().wanted
    }

    pub fn status(&self) -> Value {
        let replicas = self.lock();
        let begun = if self.flavour == Flavour::Faasd { replicas.starting } else { 0 };
        let mut status = self.spec.clone();
        status["name"] = json!(self.name);
        status["namespace"] = json!(self.namespace);
        status["replicas"] = match self.flavour {
            Flavour::Faasd if replicas.failed => json!(0),
            _ => json!(replicas.wanted),
        };
        status["availableReplicas"] = json!(replicas.running.len() + begun);
        status["invocationCount"] = json!(self.calls.load(Ordering::Relaxed));
        status
    }

    fn lock(&self) -> MutexGuard<'_, Replicas> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let variables = self.spec["envVars"].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let given = variables.map(|(name, value)| (name.clone(), text(value)));
        match self.flavour {
            Flavour::Faasd => given.collect(),
            // It is a pod's there.
            Flavour::Kubernetes => given.fold(Vec::new(), |mut all, (name, value)| {
                let value = expand(&value, &all);
                all.push((name, value));
                all
            }),
        }
    }
}

impl Functions {
    pub fn new(containers: Containers, flavour: Flavour, client: reqwest::Client) -> Self {
        let (functions, secrets) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { containers, flavour, client, functions, secrets }))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Function>>> {
        self.0.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_secrets(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Function>> {
        self.all().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The function that a call names: `NAME` or `NAME.NAMESPACE`.
    pub fn called(&self, name: &str) -> Option<Arc<Function>> {
        let (name, namespace) = name.rsplit_once('.').unwrap_or((name, NAMESPACES[0]));
        self.get(namespace, name)
    }

    pub fn list(&self, namespace: &str) -> Value {
        let all = self.all();
        let of = all.iter().filter(|((there, _), _)| there == namespace);
        of.map(|(_, function)| function.status()).collect()
    }

    pub async fn deploy(&self, namespace: &str, sent: &Value) -> Answer {
        let (namespace, name) = match self.checked(namespace, sent) {
            Ok(names) => names,
            Err(why) => return text(StatusCode::BAD_REQUEST, &why),
        };
        if self.get(&namespace, &name).is_some() {
            return text(StatusCode::CONFLICT, &format!("function {name} already exists"));
        }
        self.put(namespace, name, sent).await
    }

    pub async fn update(&self, namespace: &str, sent: &Value) -> Answer {
        let (namespace, name) = match self.checked(namespace, sent) {
            Ok(names) => names,
            Err(why) => return text(StatusCode::BAD_REQUEST, &why),
        };
        match self.remove(&namespace, &name) {
            true => self.put(namespace, name, sent).await,
            false => missing(&name),
        }
    }

    async fn put(&self, namespace: String, name: String, sent: &Value) -> Answer {
        let replicas = Replicas { wanted: self.least(sent), ..Replicas::default() };
        let function = Arc::new(Function {
            name: name.clone(),
            namespace: namespace.clone(),
            spec: sent.clone(),
            flavour: self.0.flavour,
            replicas: Mutex::new(replicas),
            calls: AtomicUsize::new(0),
        });
        self.all().insert((namespace, name), function.clone());
        self.settle(&function);
        text(StatusCode::ACCEPTED, "")
    }

    fn least(&self, spec: &Value) -> usize {
        let least = spec["labels"]["com.openfaas.scale.min"].as_str();
        least.and_then(|least| least.parse().ok()).unwrap_or(1)
    }

    fn checked(&self, namespace: &str, sent: &Value) -> Result<(String, String), String> {
        let namespace = sent["namespace"].as_str().unwrap_or(namespace).to_owned();
        if !NAMESPACES.contains(&namespace.as_str()) {
            return Err(format!("namespace {namespace} is not there"));
        }
        let name = sent["service"].as_str().unwrap_or_default().to_owned();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) {
            return Err(format!("service: ({name}) is invalid, must be a valid DNS entry"));
        }
        if sent["image"].as_str().unwrap_or_default().is_empty() {
            return Err("image: is required".to_owned());
        }
        // Values of labels are Kubernetes's.
        for (key, value) in sent["labels"].as_object().into_iter().flatten() {
            let value = value.as_str().ok_or_else(|| format!("label {key} is no text"))?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            if value.len() > 63 || !value.bytes().all(plain) {
                return Err(format!("label {key}: {value:?} is invalid"));
            }
        }
        for secret in sent["secrets"].as_array().into_iter().flatten() {
            let secret = secret.as_str().unwrap_or_default();
            if !self.known_secrets().contains(&(namespace.clone(), secret.to_owned())) {
                return Err(format!("unable to find secret: {secret}"));
            }
        }
        Ok((namespace, name))
    }

    pub fn delete(&self, namespace: &str, sent: &Value) -> Answer {
        let name = sent["functionName"].as_str().unwrap_or_default();
        match self.remove(namespace, name) {
            true => text(StatusCode::ACCEPTED, ""),
            false => missing(name),
        }
    }

    /// Its replicas end after the calls they have.
    fn remove(&self, namespace: &str, name: &str) -> bool {
        let removed = self.all().remove(&(namespace.to_owned(), name.to_owned()));
        let Some(function) = removed else { return false };
        let mut replicas = function.lock();
        (replicas.wanted, replicas.deleted) = (0, true);
        drop(replicas);
        self.settle(&function);
        true
    }

    pub fn scale(&self, namespace: &str, name: &str, sent: &Value) -> Answer {
        let Some(function) = self.get(namespace, name) else { return missing(name) };
        let Some(wanted) = sent["replicas"].as_u64().and_then(|n| usize::try_from(n).ok()) else {
            return text(StatusCode::BAD_REQUEST, "replicas: must be a number");
        };
        if self.0.flavour == Flavour::Faasd && wanted > 1 {
            return text(StatusCode::BAD_REQUEST, "faasd has one replica of a function");
        }
        function.lock().wanted = wanted;
        self.settle(&function);
        text(StatusCode::ACCEPTED, "")
    }

    /// One more replica for a function that has none, since it is called.
    pub fn wake(&self, function: &Arc<Function>) {
        let mut replicas = function.lock();
        replicas.wanted = replicas.wanted.max(1);
        drop(replicas);
        self.settle(function);
    }

    /// Starts and stops replicas, so that there are as many as wanted.
    fn settle(&self, function: &Arc<Function>) {
        let mut replicas = function.lock();
        let there = replicas.running.len() + replicas.starting;
        for _ in there..replicas.wanted {
            replicas.starting += 1;
            let (functions, function) = (self.clone(), function.clone());
            tokio::spawn(async move { functions.start(&function).await });
        }
        let kept = replicas.wanted.min(replicas.running.len());
        for container in replicas.running.split_off(kept) {
            let containers = self.0.containers.clone();
            tokio::spawn(async move { containers.stop(&container).await });
        }
    }

    async fn start(&self, function: &Arc<Function>) {
        let image = function.spec["image"].as_str().unwrap_or_default();
        let started = self.0.containers.run(image, &function.environment()).await;
        let started = match started {
            Ok(container) => match self.probed(function, &container).await {
                Ok(()) => Ok(container),
                Err(why) => {
                    self.0.containers.kill(&container).await;
                    Err(why)
                }
            },
            Err(why) => Err(why),
        };
        let mut replicas = function.lock();
        replicas.starting -= 1;
        match started {
            Ok(container) if replicas.deleted => {
                let containers = self.0.containers.clone();
                tokio::spawn(async move { containers.stop(&container).await });
            }
            Ok(container) => replicas.running.push(container),
            Err(why) => {
                replicas.failed = true;
                // Only what ran has a log.
                let printed = why.strip_prefix("the container ended: ").unwrap_or_default();
                replicas.left.extend(printed.lines().map(str::to_owned));
            }
        }
    }

    /// As Kubernetes asks before it sends calls.
    async fn probed(&self, function: &Function, container: &Container) -> Result<(), String> {
        if self.0.flavour == Flavour::Faasd {
            return Ok(());
        }
        for (annotation, usual) in PROBES {
            let path = function.spec["annotations"][annotation].as_str().unwrap_or(usual);
            let url = format!("http://127.0.0.1:{}{path}", container.port);
            let asked = self.0.client.get(url).send().await;
            if !asked.is_ok_and(|answer| answer.status().is_success()) {
                return Err(String::new());
            }
        }
        Ok(())
    }

    /// A line of JSON for each line that was printed.
    pub async fn logs(&self, namespace: &str, name: &str, tail: Option<usize>) -> Answer {
        let Some(function) = self.get(namespace, name) else { return missing(name) };
        let (mut lines, running) = {
            let replicas = function.lock();
            (replicas.left.clone(), replicas.running.clone())
        };
        for container in &running {
            let printed = self.0.containers.logs(container).await;
            lines.extend(printed.lines().map(str::to_owned));
        }
        let first = lines.len().saturating_sub(tail.unwrap_or(usize::MAX));
        let line = |text: &String| {
            let timestamp = "2026-01-01T00:00:00Z";
            let instance = format!("{name}-0");
            let line = json!({
                "name": name, "namespace": namespace, "instance": instance,
                "timestamp": timestamp, "text": format!("{text}\n"),
            });
            format!("{line}\n")
        };
        let all: String = lines[first..].iter().map(line).collect();
        text(StatusCode::OK, &all)
    }

    pub fn secrets(&self, namespace: &str) -> Value {
        let all = self.known_secrets();
        let of = all.iter().filter(|(there, _)| there == namespace);
        of.map(|(namespace, name)| json!({"name": name, "namespace": namespace})).collect()
    }

    pub fn secret(&self, method: &Method, namespace: &str, sent: &Value) -> Answer {
        let namespace = sent["namespace"].as_str().unwrap_or(namespace).to_owned();
        let name = sent["name"].as_str().unwrap_or_default().to_owned();
        if name.is_empty() {
            return text(StatusCode::BAD_REQUEST, "name: is required");
        }
        let (mut all, key) = (self.known_secrets(), (namespace, name));
        let is_there = all.contains(&key);
        match method.as_str() {
            "POST" if is_there => return text(StatusCode::CONFLICT, "it is there already"),
            "PUT" | "DELETE" if !is_there => return text(StatusCode::NOT_FOUND, "not found"),
            "DELETE" => all.remove(&key),
            _ => all.insert(key),
        };
        text(StatusCode::ACCEPTED, "")
    }
}
