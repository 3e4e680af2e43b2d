//! The kubelet of one node: each pod is a container of a Docker engine, and its state is told as
//! a kubelet tells it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::api::place;
use super::kinds::{NODES, PODS};
use super::{Shared, settled, status};
use crate::expansion::expand;
use crate::programs::free_address;

/// Name of the one node.
pub const NODE: &str = "loopback";
/// Between two looks at a container.
const LOOK: Duration = Duration::from_millis(50);
/// Until a container that ended is started again.
const BACKOFF: Duration = Duration::from_secs(5);
/// Longest message of a container that ended, in bytes: as kubelets cut it.
const MAX_MESSAGE: usize = 2048;

pub struct Kubelet {
    shared: Arc<Shared>,
    /// By uid; true: it shall end.
    pods: BTreeMap<String, watch::Sender<bool>>,
}

impl Kubelet {
    pub async fn new(shared: Arc<Shared>) -> Self {
        let labels = json!({"kubernetes.io/hostname": NODE, "example.org/gpu": "a100"});
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels},
        });
        settled(shared.api.create(NODES, &node).await);
        Self { shared, pods: BTreeMap::new() }
    }

    /// Starts what is new, and ends what shall go.
    pub fn round(&mut self) {
        let pods = self.shared.world.of(PODS);
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        for pod in &pods {
            let going = !pod["metadata"]["deletionTimestamp"].is_null();
            let known = self.pods.entry(uid(pod)).or_insert_with(|| {
                let (end, ends) = watch::channel(going);
                tokio::spawn(Pod::new(Arc::clone(&self.shared), pod.clone()).live(ends));
                end
            });
            // Nobody listens when it has ended already.
            let _ = known.send(going);
        }
        let there: Vec<String> = pods.iter().map(uid).collect();
        self.pods.retain(|uid, end| {
            let stays = there.contains(uid);
            if !stays {
                let _ = end.send(true);
            }
            stays
        });
    }
}

struct Pod {
    shared: Arc<Shared>,
    pod: Value,
    uid: String,
    /// Name of its container.
    container: String,
    port: u16,
    restarts: u64,
    last: Value,
}

impl Pod {
    fn new(shared: Arc<Shared>, pod: Value) -> Self {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let port = free_address().port();
        let container = format!("pod-{uid}");
        Self { shared, pod, uid, container, port, restarts: 0, last: json!({}) }
    }

    async fn live(mut self, mut ends: watch::Receiver<bool>) {
        tokio::select! {
            () = self.run() => {}
            _ = ends.wait_for(|end| *end) => {}
        }
        self.end().await;
    }

    async fn run(&mut self) {
        if !self.fits() {
            let text = "0/1 nodes are available: 1 node(s) didn't match node selector.";
            let mut status = json!({"phase": "Pending"});
            status::set(&mut status, "PodScheduled", "False", "Unschedulable", text);
            self.tell(status).await;
            std::future::pending::<()>().await;
        }
        self.waiting("ContainerCreating", "").await;
        let image = self.pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let image = image.to_owned();
        while let Err(error) = self.docker(vec!["pull".to_owned(), image.clone()]).await {
            let text = format!("rpc error: code = Unknown desc = {error}");
            self.waiting("ErrImagePull", &text).await;
            tokio::time::sleep(BACKOFF).await;
            self.waiting("ImagePullBackOff", &format!("Back-off pulling image {image:?}")).await;
        }
        loop {
            if let Err(error) = self.docker(self.arguments()).await {
                self.waiting("RunContainerError", &error).await;
                tokio::time::sleep(BACKOFF).await;
                continue;
            }
            self.watch_over().await;
            // Its next run may find the port taken by others.
            self.port = free_address().port();
            tokio::time::sleep(BACKOFF).await;
            self.restarts += 1;
        }
    }

    fn fits(&self) -> bool {
        let selector = &self.pod["spec"]["nodeSelector"];
        let node = self.shared.world.get(NODES, "", NODE).unwrap_or_default();
        !selector.is_object() || status::selects(selector, &node["metadata"]["labels"])
    }

    fn arguments(&self) -> Vec<String> {
        let container = &self.pod["spec"]["containers"][0];
        let mut words: Vec<String> =
            ["run", "--detach", "--network=host"].map(str::to_owned).into();
        words.extend(["--name".to_owned(), self.container.clone()]);
        if let Some(memory) = container["resources"]["limits"]["memory"].as_str() {
            words.push(format!("--memory={}", memory.replace("Mi", "m").replace("Gi", "g")));
        }
        let mut given = Vec::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let text = |key: &str| variable[key].as_str().unwrap_or_default();
            if text("name") != "PORT" {
                let value = expand(text("value"), &given);
                words.push(format!("--env={}={value}", text("name")));
                given.push((text("name").to_owned(), value));
            }
        }
        words.push(format!("--env=PORT={}", self.port));
        words.push(container["image"].as_str().unwrap_or_default().to_owned());
        words
    }

    /// Until the container ends.
    async fn watch_over(&mut self) {
        let begun = status::now();
        let mut ready = false;
        self.running(&begun, false).await;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1));
        let client = client.build().expect("a client");
        let mut looked = Instant::now();
        loop {
            if !ready {
                let url = format!("http://127.0.0.1:{}/healthz", self.port);
                let answered = client.get(url).send().await;
                ready = answered.is_ok_and(|answer| answer.status().is_success());
                if ready {
                    self.shared.serves(&self.uid, Some(self.port));
                    self.running(&begun, true).await;
                }
            }
            if ready || looked.elapsed() > LOOK * 4 {
                looked = Instant::now();
                if let Some(code) = self.exit_code().await {
                    return self.ended(&begun, code).await;
                }
                if ready {
                    tokio::time::sleep(LOOK * 4).await;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn exit_code(&self) -> Option<i64> {
        let format = "{{.State.Running}} {{.State.ExitCode}}";
        let words = ["inspect", "--format", format, &self.container].map(str::to_owned);
        let told = self.docker(words.into()).await.ok()?;
        let (running, code) = told.split_once(' ')?;
        (running == "false").then(|| code.parse().unwrap_or(-1))
    }

    async fn ended(&mut self, begun: &str, code: i64) {
        self.shared.serves(&self.uid, None);
        let (docker, container) = (Arc::clone(&self.shared.docker), self.container.clone());
        let printed = tokio::task::spawn_blocking(move || docker.logs(&container)).await;
        let printed = printed.unwrap_or_default();
        let mut from = printed.len().saturating_sub(MAX_MESSAGE);
        while !printed.is_char_boundary(from) {
            from += 1;
        }
        let reason = if code == 0 { "Completed" } else { "Error" };
        let mut terminated = json!({
            "exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": status::now(),
        });
        let policy = &self.pod["spec"]["containers"][0]["terminationMessagePolicy"];
        if *policy == "FallbackToLogsOnError" && code != 0 {
            terminated["message"] = json!(printed[from..]);
        }
        self.last = json!({"terminated": terminated});
        // It may be gone already.
        let _ =
            self.docker(vec!["rm".to_owned(), "--force".to_owned(), self.container.clone()]).await;
        let text = format!("back-off {} s restarting failed container", BACKOFF.as_secs());
        self.waiting("CrashLoopBackOff", &text).await;
    }

    /// SIGTERM, the pod's own time, and then the end; the server is told last.
    async fn end(&mut self) {
        self.shared.serves(&self.uid, None);
        let seconds = self.pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let words = ["stop".to_owned(), "--time".to_owned(), seconds.to_string()];
        let _ = self.docker([&words[..], std::slice::from_ref(&self.container)].concat()).await;
        let _ =
            self.docker(vec!["rm".to_owned(), "--force".to_owned(), self.container.clone()]).await;
        let (namespace, name) = place(&self.pod);
        if let Ok(now) = self.shared.api.get(PODS, namespace, name).await
            && now["metadata"]["uid"] == *self.uid
        {
            settled(self.shared.api.delete(PODS, &now, true).await);
        }
    }

    async fn docker(&self, words: Vec<String>) -> Result<String, String> {
        let docker = Arc::clone(&self.shared.docker);
        let ran = tokio::task::spawn_blocking(move || {
            docker.try_run(&words.iter().map(String::as_str).collect::<Vec<_>>())
        });
        ran.await.map_err(|error| error.to_string())?
    }

    async fn waiting(&self, reason: &str, message: &str) {
        let mut state = json!({"waiting": {"reason": reason}});
        if !message.is_empty() {
            state["waiting"]["message"] = json!(message);
        }
        let mut status = self.container_status("Pending", state, false);
        status::set(&mut status, "Ready", "False", "ContainersNotReady", "");
        self.tell(status).await;
    }

    async fn running(&self, since: &str, ready: bool) {
        let state = json!({"running": {"startedAt": since}});
        let mut status = self.container_status("Running", state, ready);
        let (is, reason) = if ready { ("True", "") } else { ("False", "ContainersNotReady") };
        status::set(&mut status, "Ready", is, reason, "");
        self.tell(status).await;
    }

    fn container_status(&self, phase: &str, state: Value, ready: bool) -> Value {
        let container = &self.pod["spec"]["containers"][0];
        let mut status = json!({
            "phase": phase, "hostIP": self.shared.host, "podIP": self.shared.host,
            "containerStatuses": [{
                "name": container["name"], "image": container["image"],
                "imageID": container["image"], "ready": ready, "restartCount": self.restarts,
                "state": state, "lastState": self.last,
            }],
        });
        status::set(&mut status, "PodScheduled", "True", "", "");
        status
    }

    /// Until the server has taken it: nobody else writes this.
    async fn tell(&self, status: Value) {
        let (namespace, name) = place(&self.pod);
        loop {
            let Ok(mut now) = self.shared.api.get(PODS, namespace, name).await else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            if now["metadata"]["uid"] != *self.uid {
                return;
            }
            now["status"] = status.clone();
            match self.shared.api.replace_status(PODS, &now).await {
                Ok(_) => return,
                Err(refusal) if refusal.is(reqwest::StatusCode::CONFLICT) => {}
                Err(refusal) => {
                    settled(Err(refusal));
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }
}
