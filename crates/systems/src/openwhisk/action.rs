//! Actions and the containers they run in.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::activation::{Record, Status};
use super::{MAX_BYTES, System};
use crate::containers::Container;

/// An action as it was put; a change is another one.
pub struct Action {
    pub name: String,
    pub body: Value,
    image: String,
    timeout: Duration,
    idle: Mutex<Vec<Container>>,
    client: reqwest::Client,
}

/// What went wrong with a container: it is of no more use.
type Ran = Result<Value, (Status, Value)>;

impl Action {
    /// # Errors
    /// OpenWhisk's words for what it does not take.
    pub fn new(name: &str, body: Value) -> Result<Self, String> {
        if body["exec"]["kind"] != "blackbox" {
            return Err(format!("The runtime kind {} is not supported.", body["exec"]["kind"]));
        }
        let image = body["exec"]["image"].as_str().ok_or("'image' must be a string")?;
        // Digests are read and forgotten; the tag is what counts.
        let image = image.split('@').next().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        let tag = if last.contains(':') { "" } else { ":latest" };
        let limit = |name: &str, usual: u64, least: u64, most: u64| {
            let value = body["limits"][name].as_u64().unwrap_or(usual);
            match (least..=most).contains(&value) {
                true => Ok(value),
                false => Err(format!("{name} {value} is not in the allowed {least} to {most}")),
            }
        };
        limit("memory", 256, 128, 512)?;
        let timeout = Duration::from_millis(limit("timeout", 60_000, 100, 300_000)?);
        let image = format!("{image}{tag}");
        let (name, idle, client) = (name.to_owned(), Mutex::default(), reqwest::Client::new());
        Ok(Self { name, body, image, timeout, idle, client })
    }

    /// Runs it in a warm container, or in a new one.
    pub async fn run(&self, system: &System, parameters: Value, activation: &str) -> Record {
        let _room = system.room.acquire().await.expect("nobody closes it");
        let start = SystemTime::now();
        let warm = self.idle().pop();
        let mut logs = Vec::new();
        let ran = match warm {
            Some(container) => Ok(container),
            None => self.start(system, &mut logs).await,
        };
        let result = match ran {
            Err(why) => Err(why),
            Ok(container) => {
                system.state().busy.push(container.clone());
                let result = self.call(&container, parameters, activation).await;
                system.state().busy.retain(|busy| busy.id != container.id);
                match &result {
                    Err((Status::DeveloperError, _)) => {
                        logs.extend(lines(&system.containers.logs(&container).await));
                        system.containers.kill(&container).await;
                    }
                    _ => self.keep(system, container).await,
                }
                result
            }
        };
        Record { name: self.name.clone(), start, end: SystemTime::now(), logs, result }
    }

    async fn start(
        &self,
        system: &System,
        logs: &mut Vec<String>,
    ) -> Result<Container, (Status, Value)> {
        let started = system.containers.run(&self.image, &[]);
        let container = started.await.map_err(|why| {
            logs.extend(lines(&why));
            let text = "The action did not initialize and exited unexpectedly.";
            (Status::DeveloperError, json!({"error": text}))
        })?;
        let init = json!({"value": {
            "name": self.name, "main": "main", "binary": false, "code": "", "env": {},
        }});
        match self.post(&container, "init", &init).await {
            Ok((200, _)) => Ok(container),
            other => {
                logs.extend(lines(&system.containers.logs(&container).await));
                system.containers.kill(&container).await;
                let text = format!("The action failed during initialization: {other:?}");
                Err((Status::DeveloperError, json!({"error": text})))
            }
        }
    }

    async fn call(&self, container: &Container, parameters: Value, activation: &str) -> Ran {
        let deadline = SystemTime::now() + self.timeout;
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let run = json!({
            "value": parameters,
            "namespace": "guest",
            "action_name": format!("/guest/{}", self.name),
            "activation_id": activation,
            "deadline": deadline.to_string(),
        });
        let developer = |text: String| Err((Status::DeveloperError, json!({"error": text})));
        let (status, body) = match self.post(container, "run", &run).await {
            Ok(answer) => answer,
            Err(true) => {
                let limit = self.timeout.as_millis();
                return developer(format!(
                    "The action exceeded its time limits of {limit} milliseconds."
                ));
            }
            Err(false) => {
                let text = "The action did not produce a valid response and exited unexpectedly.";
                return developer(text.to_owned());
            }
        };
        if body.len() > MAX_BYTES {
            let text = format!(
                "The action produced a response that exceeded the allowed length: {} > {MAX_BYTES} \
                 bytes.",
                body.len()
            );
            return Err((Status::ApplicationError, json!({"error": text})));
        }
        match serde_json::from_str::<Value>(&body) {
            Ok(result) if status != 200 => {
                let error = result.get("error").cloned().unwrap_or_else(|| json!(body));
                Err((Status::DeveloperError, json!({"error": error})))
            }
            Ok(result) if result.get("error").is_some() => Err((Status::ApplicationError, result)),
            Ok(result) if result.is_object() => Ok(result),
            _ => developer("The action did not return a dictionary.".to_owned()),
        }
    }

    /// Status and body; or whether it took too long.
    async fn post(
        &self,
        container: &Container,
        path: &str,
        body: &Value,
    ) -> Result<(u16, String), bool> {
        let url = format!("http://127.0.0.1:{}/{path}", container.port);
        let sent = self.client.post(url).json(body).timeout(self.timeout).send().await;
        let answer = sent.map_err(|error| error.is_timeout())?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| error.is_timeout())?))
    }

    /// For the next call; unless there will be none.
    async fn keep(&self, system: &System, container: Container) {
        let current =
            system.state().actions.get(&self.name).is_some_and(|a| std::ptr::eq(&**a, self));
        match current {
            true => self.idle().push(container),
            false => system.containers.kill(&container).await,
        }
    }

    /// Stops the containers in which nothing runs.
    pub async fn retire(&self, system: &System) {
        let idle = std::mem::take(&mut *self.idle());
        for container in idle {
            system.containers.kill(&container).await;
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Container>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As OpenWhisk keeps them.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("2026-01-01T00:00:00.000000000Z stderr: {line}")).collect()
}
