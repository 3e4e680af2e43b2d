//! Containers: made, started and waited for until they serve.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_driver::{Deployment, Error, Result, Retry};
use dispatch_model::code;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{Api, Failure, Inspected};
use super::ending;
use super::owner::Owner;
use super::port::Port;
use super::settings::Settings;

/// Label with the deployment of a container.
pub const DEPLOYMENT: &str = "io.dispatch.deployment";
/// Label with the longest time of one call, in seconds.
pub const TIMEOUT: &str = "io.dispatch.timeout";
/// Port that images serve on where each container has an address of its own.
const PORT: u16 = 8080;
/// Lines of a container that does not serve which its author is shown.
const SHOWN_LINES: usize = 50;
/// Time between two looks whether a container serves: it grows from the first to the second.
const LOOKS: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(50));
/// Longest time of one look.
const LOOK: Duration = Duration::from_secs(2);
/// Longest time of one request that waits for the end of a container that serves.
const WATCH: Duration = Duration::from_secs(600);
/// Pause after one in vain.
const AGAIN: Duration = Duration::from_millis(500);
/// Time a container has to end by itself when nothing runs in it.
pub const GRACE: Duration = Duration::from_secs(3);
/// Size of the one place containers may write to, beside their memory.
const SCRATCH: &str = "rw,nosuid,nodev,mode=1777,size=64m";

/// One that serves.
pub struct Container {
    pub id: String,
    pub url: Url,
    _port: Option<Port>,
}

/// What starts containers.
pub struct Starter {
    pub api: Api,
    pub settings: Settings,
    pub owner: Owner,
    pub http: reqwest::Client,
    /// Ids of the containers that somebody here stops when it is time.
    pub cared: Mutex<HashSet<String>>,
}

/// What containers of one deployment are made of.
pub struct Plan {
    pub deployment: Deployment,
    pub image: String,
    /// Calls one container runs at the same time.
    pub calls: u32,
    /// Containers it may have here.
    pub containers: usize,
}

impl Plan {
    /// # Errors
    /// Where the function has no image.
    pub fn new(deployment: &Deployment, settings: &Settings) -> Result<Self> {
        let image = deployment.function_image.clone().ok_or_else(|| {
            let function = &deployment.function;
            let text = format!(
                "the function {function} has no image in a registry, which a docker engine pulls; \
                 set images.registry, or give the function an image"
            );
            Error::caller(code::ENGINE001, text)
        })?;
        let concurrency = deployment.concurrency.max(1);
        let calls = settings.calls_per_container.min(concurrency);
        let containers = concurrency.div_ceil(calls) as usize;
        Ok(Self { deployment: deployment.clone(), image, calls, containers })
    }

    fn labels(&self, owner: &Owner) -> Value {
        let deployment = &self.deployment;
        json!({
            "app.kubernetes.io/managed-by": "dispatch",
            "io.dispatch.organization": deployment.org,
            "io.dispatch.function": deployment.function,
            "io.dispatch.version": deployment.version.to_string(),
            DEPLOYMENT: deployment.id,
            TIMEOUT: deployment.timeout.as_secs_f64().ceil().to_string(),
            super::owner::SERVER: owner.instance,
        })
    }
}

impl Starter {
    /// Pulls the image where it is not there yet.
    pub async fn pull(&self, image: &str) -> Result<()> {
        let there = self.api.has_image(image).await;
        if there.map_err(|failure| failure.error("cannot look for the image"))? {
            return Ok(());
        }
        let pulled = self.api.pull(image).await;
        pulled.map_err(|failure| failure.error(&format!("cannot pull {image}")))
    }

    /// Starts a container and waits until it serves. One that does not is removed.
    ///
    /// # Errors
    /// With the last lines it printed.
    pub async fn start(&self, plan: &Plan) -> Result<Container> {
        self.owner.hold(&self.api).await?;
        let port = match self.settings.on_host() {
            true => Some(Port::reserve(self.settings.address).map_err(no_port)?),
            false => None,
        };
        let number = port.as_ref().map_or(PORT, |port| port.address.port());
        let id = self.create(plan, number).await?;
        self.cared().insert(id.clone());
        let served = self.serve(plan, &id, port.as_ref()).await;
        if served.is_err() {
            // Else it is found later, for nobody cares any more.
            let _ = self.api.remove(&id).await;
            self.cared().remove(&id);
        }
        Ok(Container { id, url: served?, _port: port })
    }

    async fn create(&self, plan: &Plan, port: u16) -> Result<String> {
        let deployment = plan.deployment.id.simple();
        let name = format!("dispatch-{deployment}-{}", &Uuid::new_v4().simple().to_string()[..8]);
        let body = self.body(plan, port);
        let what = "cannot make a container";
        match self.api.create(&name, body.clone()).await {
            Ok(id) => Ok(id),
            // Somebody tidied up.
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => {
                self.pull(&plan.image).await?;
                self.api.create(&name, body).await.map_err(|failure| failure.error(what))
            }
            Err(failure) => Err(failure.error(what)),
        }
    }

    fn body(&self, plan: &Plan, port: u16) -> Value {
        let settings = &self.settings;
        let memory = (plan.deployment.memory_mib << 20) * u64::from(plan.calls);
        let mut environment: Vec<String> = plan
            .deployment
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        environment.push(format!("PORT={port}"));
        environment.push(format!("DISPATCH_CONCURRENCY={}", plan.calls));
        let mut host = json!({
            "NetworkMode": settings.network,
            "Memory": memory,
            // Together with memory: none of it may be swapped out.
            "MemorySwap": memory,
            "PidsLimit": settings.pids,
            "NanoCpus": settings.cpus * 1_000_000_000,
            "ReadonlyRootfs": true,
            "Tmpfs": {"/tmp": SCRATCH},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        });
        if let Some(runtime) = &settings.runtime {
            host["Runtime"] = json!(runtime);
        }
        let exposed = format!("{PORT}/tcp");
        if !settings.on_host() && !settings.by_container {
            let binding = json!([{"HostIp": settings.address, "HostPort": ""}]);
            host["PortBindings"] = json!({ &exposed: binding });
        }
        json!({
            "Image": plan.image,
            "User": settings.user,
            "Env": environment,
            "Labels": plan.labels(&self.owner),
            "ExposedPorts": {exposed: {}},
            "HostConfig": host,
        })
    }

    async fn serve(&self, plan: &Plan, id: &str, port: Option<&Port>) -> Result<Url> {
        self.api.start(id).await.map_err(|failure| match failure {
            Failure::Refused { status, message } if status.is_client_error() => {
                let text = format!("the function's image cannot be started: {message}");
                Error::caller(code::ENGINE003, text)
            }
            failure => failure.error("cannot start a container"),
        })?;
        let address = match port {
            Some(port) => Some(port.address),
            None => self.address(id).await?,
        };
        let limit = self.settings.start_timeout;
        let Some(address) = address else { return Err(self.not_serving(id, limit).await) };
        let url = Url::parse(&format!("http://{address}/")).expect("an address makes a URL");
        tokio::select! {
            () = self.answers(&url) => Ok(url),
            () = self.ends(id, limit + LOOK) => Err(self.not_serving(id, limit).await),
            () = tokio::time::sleep(limit) => Err(self.not_serving(id, limit).await),
        }
        .inspect_err(|error| {
            let (deployment, message) = (plan.deployment.id, &error.message);
            tracing::debug!(%deployment, message, "a container did not serve");
        })
    }

    /// Returns when one that served runs no more, or is not there any more.
    pub async fn ended(&self, id: &str) {
        loop {
            match self.api.ended(id, WATCH).await {
                Ok(()) => return,
                Err(failure) if failure.is(StatusCode::NOT_FOUND) => return,
                // Docker is away, or it ran all that time.
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Returns when it has ended; never when that cannot be told.
    async fn ends(&self, id: &str, limit: Duration) {
        if self.api.ended(id, limit).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// `None` when it has none, because it has ended already.
    async fn address(&self, id: &str) -> Result<Option<SocketAddr>> {
        let what = "cannot look at a container";
        let inspected = self.api.inspect(id).await.map_err(|failure| failure.error(what))?;
        Ok(match self.settings.by_container {
            true => own_address(&inspected, &self.settings.network),
            false => published(&inspected).map(|port| (self.settings.address, port).into()),
        })
    }

    async fn answers(&self, url: &Url) {
        let healthz = url.join("healthz").expect("a path makes a URL");
        let mut pause = LOOKS.0;
        loop {
            let answer = self.http.get(healthz.clone()).timeout(LOOK).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        }
    }

    async fn not_serving(&self, id: &str, limit: Duration) -> Error {
        let mut text = match ending::of(&self.api, id).await {
            Ok(Some(ending)) => format!("the function's image does not serve: {ending}"),
            Ok(None) => format!(
                "the function's image did not answer GET /healthz within {} ms",
                limit.as_millis()
            ),
            Err(error) => return error,
        };
        let lines = self.api.logs(id, SHOWN_LINES).await.unwrap_or_default();
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&lines.join("\n"));
        }
        Error::caller(code::ENGINE003, text)
    }

    /// Stops a container in which nothing runs.
    pub async fn stop(&self, container: &Container) {
        if let Err(failure) = self.api.stop(&container.id, GRACE).await {
            let error = failure.error("cannot stop a container");
            tracing::warn!(container = container.id, message = error.message);
        }
        self.cared().remove(&container.id);
    }

    pub fn cared(&self) -> MutexGuard<'_, HashSet<String>> {
        self.cared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn own_address(inspected: &Inspected, network: &str) -> Option<SocketAddr> {
    let networks = inspected.network_settings.networks.as_ref()?;
    let found = networks.get(network).or_else(|| networks.values().next())?;
    Some(SocketAddr::new(found.ip_address.parse().ok()?, PORT))
}

fn published(inspected: &Inspected) -> Option<u16> {
    let ports = inspected.network_settings.ports.as_ref()?;
    let bindings = ports.get(&format!("{PORT}/tcp"))?.as_ref()?;
    bindings.first()?.host_port.parse().ok()
}

fn no_port(error: std::io::Error) -> Error {
    let text = format!("no port is free at settings.address for a container: {error}");
    Error::backend(code::ENGINE006, Retry::After(Duration::from_secs(1)), text).unreached()
}
