//! A server, a registry, and a base image of this machine's own distribution in it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_systems::debian::{Debian, FIRST};
use dispatch_systems::programs;
use dispatch_systems::registry::{self, Registry};
use dispatch_testkit::{Options, Server};
use serde_json::{Value, json};

/// Name of the base image in the registry.
pub const NAME: &str = "debian:12";
/// Longest time a test waits for a build: mirrors may be far away, and other tests build too.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Bed {
    pub server: Server,
    pub registry: Registry,
    pub debian: Debian,
    /// Digest of the base image in the registry.
    pub pushed: String,
}

/// What a bed is made of.
pub struct Parts {
    pub debian: Debian,
    registry: Registry,
}

/// Hosts that builds may reach, and more of their environment.
type Network = (Vec<String>, Vec<String>);

impl Bed {
    /// None, plainly said, where this machine lacks a part.
    pub fn parts() -> Option<Parts> {
        if !programs::has(registry::PROGRAMS) {
            return None;
        }
        Some(Parts { debian: Debian::get()?, registry: Registry::start() })
    }

    /// With the base image `base` READY, where this machine has the parts. `more` goes to the
    /// section `images` of the configuration.
    pub async fn start(more: &str) -> Option<Self> {
        let parts = Self::parts()?;
        let network = (parts.debian.egress(), parts.debian.environment());
        Some(Self::with(parts, network, more).await)
    }

    pub async fn with(parts: Parts, (egress, environment): Network, more: &str) -> Self {
        let Parts { debian, registry } = parts;
        let address = &registry.address;
        // A proxy may be on this machine.
        let settings = format!(
            "[images]\nplain_http = [{address:?}]\nregistry = \"{address}/tests\"\n\
             build_egress = {egress:?}\nbuild_environment = {environment:?}\n{more}\n\
             [process]\negress_to_machine = true\n"
        );
        let pushed = registry.push(&debian.layout, FIRST, NAME);
        let server = Server::start_with(Options { settings }).await;
        let bed = Self { server, registry, debian, pushed };
        bed.server.post("/v1/baseimage", bed.base()).await.expect(201);
        let base = bed.settled("/v1/baseimage/base").await;
        assert_eq!(base["status"], "READY", "{base}");
        bed
    }

    pub fn base(&self) -> Value {
        let url = format!("{}/{NAME}", self.registry.address);
        json!({"name": "base", "dockerUrl": url, "language": "python3"})
    }

    /// Waits until a resource is READY or in ERROR.
    pub async fn settled(&self, path: &str) -> Value {
        self.server.settled(path, PATIENCE).await
    }

    /// An image on the base, READY or in ERROR, with these fields beside.
    pub async fn image(&self, name: &str, more: Value) -> Value {
        self.begin_image(name, more).await;
        self.settled(&format!("/v1/image/{name}")).await
    }

    pub async fn begin_image(&self, name: &str, more: Value) {
        let mut image = json!({"name": name, "baseImageName": "base"});
        for (field, value) in more.as_object().expect("fields of an image") {
            image[field] = value.clone();
        }
        self.server.post("/v1/image", image).await.expect(201);
    }

    /// A function on an image, READY.
    pub async fn function(&self, name: &str, image: &str, source: &str) -> Value {
        let body = json!({"name": name, "image": image, "handler": "hello.handle",
            "source": STANDARD.encode(source)});
        self.server.post("/v1/function", body).await.expect(201);
        let function = self.settled(&format!("/v1/function/{name}")).await;
        assert_eq!(function["status"], "READY", "{function}");
        function
    }

    pub async fn call(&self, name: &str, input: Value) -> Value {
        let body = json!({"functionName": name, "blocking": true, "input": input});
        let run = self.server.post("/v1/runs", body).await.expect(200).json();
        assert_eq!(run["status"], "READY", "{run}");
        run["output"].clone()
    }
}

/// Packages of the distribution, as an image names them.
pub fn system(names: &[&str]) -> Value {
    let packages: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"systemDependencies": {"packages": packages}})
}
