//! Containers of function images on this machine's loopback, for stand-ins of systems that run
//! such images: the images really run, by Docker's engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::docker::{self, Docker};
use crate::programs::{free_address, has_root_and};

/// Longest time until a container answers.
const START: Duration = Duration::from_secs(60);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(20);
/// Looks at its health between two looks whether it runs at all.
const LOOKS: u32 = 10;
/// What a container that is stopped may take to answer what is under way, in seconds.
const GRACE_S: &str = "60";

/// An engine for containers; clones share it. They all end when the last of them is dropped.
#[derive(Clone)]
pub struct Containers {
    docker: Arc<Docker>,
    client: reqwest::Client,
}

/// A container that serves a function image.
#[derive(Debug, Clone)]
pub struct Container {
    pub id: String,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl Containers {
    /// None, plainly said, where there can be none.
    pub async fn start() -> Option<Self> {
        if !has_root_and(docker::PROGRAMS) {
            return None;
        }
        let docker = blocking(Docker::start).await;
        Some(Self { docker: Arc::new(docker), client: reqwest::Client::new() })
    }

    /// Starts a container of an image and waits until it is healthy. `PORT` is set for it.
    ///
    /// # Errors
    /// When the image cannot be pulled, or with what the container printed when it ended instead;
    /// nothing is left of it then.
    pub async fn run(
        &self,
        image: &str,
        environment: &[(String, String)],
    ) -> Result<Container, String> {
        self.pull(image).await?;
        let port = free_address().port();
        let mut arguments: Vec<String> =
            ["run", "--detach", "--network=host"].map(String::from).into();
        for (name, value) in environment.iter().filter(|(name, _)| name != "PORT") {
            arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(["--env".to_owned(), format!("PORT={port}"), image.to_owned()]);
        let id = self.docker(arguments).await?;
        let container = Container { id, port };
        match self.healthy(&container).await {
            Ok(()) => Ok(container),
            Err(why) => {
                self.remove(&container, "kill").await;
                Err(why)
            }
        }
    }

    /// What it printed so far, both streams.
    pub async fn logs(&self, container: &Container) -> String {
        let (docker, id) = (self.docker.clone(), container.id.clone());
        blocking(move || docker.logs(&id)).await
    }

    /// Stops it after it has answered what is under way, and removes it.
    pub async fn stop(&self, container: &Container) {
        self.remove(container, "stop").await;
    }

    /// Ends it at once.
    pub async fn kill(&self, container: &Container) {
        self.remove(container, "kill").await;
    }

    /// Whether it still runs.
    pub async fn is_running(&self, container: &Container) -> bool {
        let arguments = ["inspect", "--format={{.State.Running}}", &container.id];
        self.docker(arguments.map(String::from).into()).await.is_ok_and(|told| told == "true")
    }

    async fn pull(&self, image: &str) -> Result<(), String> {
        let there = ["image", "inspect", "--format={{.Id}}", image].map(String::from);
        if self.docker(there.into()).await.is_ok() {
            return Ok(());
        }
        let pull = ["pull", "--quiet", image].map(String::from);
        self.docker(pull.into()).await.map(drop)
    }

    async fn healthy(&self, container: &Container) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}/healthz", container.port);
        let deadline = Instant::now() + START;
        let mut looks = 0;
        while Instant::now() < deadline {
            let asked = self.client.get(&url).timeout(Duration::from_secs(5)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            looks += 1;
            if looks % LOOKS == 0 && !self.is_running(container).await {
                return Err(format!("the container ended: {}", self.logs(container).await.trim()));
            }
            tokio::time::sleep(LOOK).await;
        }
        let logs = self.logs(container).await;
        Err(format!("the container was not healthy within {START:?}: {}", logs.trim()))
    }

    /// Both commands fail only when it has gone already.
    async fn remove(&self, container: &Container, how: &str) {
        let id = container.id.clone();
        let end = match how {
            "stop" => vec!["stop".to_owned(), format!("--time={GRACE_S}"), id.clone()],
            how => vec![how.to_owned(), id.clone()],
        };
        let _ = self.docker(end).await;
        let _ = self.docker(vec!["rm".to_owned(), "--force".to_owned(), id]).await;
    }

    async fn docker(&self, arguments: Vec<String>) -> Result<String, String> {
        let docker = self.docker.clone();
        blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            docker.try_run(&arguments)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("Docker's client is run to its end")
}
