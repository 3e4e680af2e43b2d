//! The engine: actions, and calls of them.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashSet;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, Error, Health, Observed, Outcome,
    Phases, Result, Retry,
};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, code};
use reqwest::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::action;
use super::activation::{self, Activation, Ending};
use super::api::{Api, refused, said};
use crate::client::InFlight;
use crate::runtime;

/// Languages whose host in an image answers OpenWhisk.
const LANGUAGES: &[&str] = &["java", "nodejs", "php", "python3", "ruby"];
/// What asks an action whether it runs: no payload is no call.
const ASK: &[u8] = b"{}";
/// Time between two looks at a call that took longer than OpenWhisk waits: grows by half.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Time after a call's deadline in which nobody waits for it any more: longer than the grace.
const LATE: Duration = Duration::from_secs(1);
/// Lines of an action that does not run which its author is shown.
const SHOWN_LINES: usize = 50;

pub struct OpenWhisk {
    name: String,
    languages: Vec<String>,
    api: Api,
    least_memory_mib: u64,
    build_timeout: Duration,
    known: DashSet<Uuid>,
    calls: InFlight,
}

/// OpenWhisk waits no longer for a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    activation_id: String,
}

/// What became of a request to call.
enum Answer {
    /// The record of an activation.
    Record(Bytes),
    /// The function was not called: the payload is too large.
    TooLarge(String),
}

impl OpenWhisk {
    pub fn new(config: &Config, beside: &Beside) -> Result<Self> {
        let known = beside.languages.iter().map(|language| language.name.clone());
        let languages = known.filter(|name| LANGUAGES.contains(&name.as_str())).collect();
        Ok(Self {
            name: config.name.clone(),
            languages,
            api: Api::new(config)?,
            least_memory_mib: config.number("leastMemory").unwrap_or_default(),
            build_timeout: config.duration("buildTimeout").unwrap_or_default(),
            known: DashSet::new(),
            calls: InFlight::default(),
        })
    }

    fn action(&self, deployment: &Deployment) -> Result<serde_json::Value> {
        if !self.languages.contains(&deployment.language) {
            let (language, known) = (&deployment.language, self.languages.join(", "));
            let text = format!("OpenWhisk runs functions in {known}, not in {language}");
            return Err(Error::caller(code::ENGINE001, text));
        }
        action::body(deployment, self.least_memory_mib)
    }

    /// Until its first container runs.
    async fn ready(&self, id: Uuid) -> Result<()> {
        let ends = Instant::now() + self.build_timeout;
        loop {
            let call = Call {
                run_id: id,
                context: Bytes::new(),
                payload: Bytes::new(),
                deadline: ends + LATE,
            };
            let asked = self.call(id, &call, reqwest::Body::from(ASK));
            let Ok(asked) = tokio::time::timeout_at(ends.into(), asked).await else {
                let limit = self.build_timeout.as_millis();
                return Err(activation::internal(&format!("it did not run within {limit} ms")));
            };
            match asked {
                Ok(Answer::Record(record)) => return self.started(&record).await,
                Ok(Answer::TooLarge(why)) => return Err(activation::internal(&why)),
                Err(Error { retry: Retry::After(pause), message, .. }) => {
                    if Instant::now() + pause >= ends {
                        return Err(activation::internal(&message));
                    }
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn started(&self, record: &Bytes) -> Result<()> {
        let Some(activation) = Activation::read(record) else { return Err(no_record(record)) };
        match activation.ending() {
            Ending::Success => Ok(()),
            Ending::Internal(message) => Err(activation::internal(&message)),
            Ending::Failed(message) => {
                let Logs { stdout, stderr } = self.printed(&activation).await;
                let lines: Vec<String> = stdout.into_iter().chain(stderr).collect();
                let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
                let text = format!("{message}\n{}", shown.join("\n"));
                Err(Error::caller(code::ENGINE003, text.trim_end().to_owned()))
            }
        }
    }

    /// Of the record, or fetched where it has none yet.
    async fn printed(&self, activation: &Activation<'_>) -> Logs {
        if !activation.logs.is_empty() {
            return activation::logs(&activation.logs);
        }
        let fetched = self.api.logs(activation.activation_id).await;
        activation::logs(&fetched.unwrap_or_default())
    }

    async fn call(&self, id: Uuid, call: &Call, body: reqwest::Body) -> Result<Answer> {
        let reply = self.api.invoke(id, call, body).await?;
        match reply.status {
            StatusCode::ACCEPTED => {
                let accepted: Accepted = serde_json::from_slice(&reply.body)
                    .map_err(|_| refused(&reply, "an accepted call has no activation"))?;
                self.follow(&accepted.activation_id).await.map(Answer::Record)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Answer::TooLarge(said(&reply))),
            StatusCode::NOT_FOUND => {
                self.known.remove(&id);
                let text = format!("OpenWhisk does not have the deployment {id}");
                Err(Error::backend(code::ENGINE007, Retry::Now, text).unreached())
            }
            StatusCode::OK => Ok(Answer::Record(reply.body)),
            // Failures of actions come as errors of a gateway, with their record.
            StatusCode::BAD_GATEWAY | StatusCode::INTERNAL_SERVER_ERROR
                if Activation::read(&reply.body).is_some() =>
            {
                Ok(Answer::Record(reply.body))
            }
            _ => Err(refused(&reply, "the action cannot be called")),
        }
    }

    /// Whoever calls this gives up at the deadline of the call.
    async fn follow(&self, activation: &str) -> Result<Bytes> {
        let mut pause = LOOKS.0;
        loop {
            tokio::time::sleep(pause).await;
            match self.api.activation(activation).await {
                Ok(Some(record)) => return Ok(record),
                Ok(None) => {}
                // It was accepted: what it comes to is to be had when OpenWhisk answers again.
                Err(error) if error.retry != Retry::Never => {}
                Err(error) => return Err(error),
            }
            pause = (pause * 3 / 2).min(LOOKS.1);
        }
    }

    async fn run(&self, id: Uuid, call: &Call, limit: Duration) -> Result<Outcome> {
        let begun = Instant::now();
        // Who waits for this gives up sooner, and says it better.
        let patient = Call { deadline: call.deadline + LATE, ..call.clone() };
        let answer = self.call(id, &patient, runtime::body(call)).await?;
        let phases = runtime::handled(begun);
        let record = match answer {
            Answer::Record(record) => record,
            Answer::TooLarge(message) => return Ok(too_large(message, phases)),
        };
        let Some(activation) = Activation::read(&record) else { return Err(no_record(&record)) };
        match activation.ending() {
            Ending::Success => activation.outcome(&record, phases),
            Ending::Internal(message) => Err(activation::internal(&message)),
            Ending::Failed(message) => {
                let logs = self.printed(&activation).await;
                Ok(activation::failed(message, logs, limit, phases))
            }
        }
    }
}

#[async_trait]
impl Engine for OpenWhisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            languages: self.languages.clone(),
            pulls_images: true,
            lasting: true,
            ..Capabilities::default()
        }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let id = deployment.id;
        self.api.put(id, &self.action(deployment)?).await?;
        if let Err(error) = self.ready(id).await {
            // The next build of the deployment makes it anew.
            let _ = self.api.delete(id).await;
            return Err(error);
        }
        self.known.insert(id);
        Ok(())
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        let action = self.action(deployment)?;
        if !self.api.has(deployment.id).await? {
            self.api.put(deployment.id, &action).await?;
        }
        self.known.insert(deployment.id);
        Ok(())
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        Ok(match self.api.has(id).await? {
            true => Observed::Ready { workers: 0 },
            false => Observed::Absent,
        })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.api.delete(id).await?;
        self.known.remove(&id);
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        if !self.known.contains(&id) {
            let text = format!("the deployment {id} is not on this server");
            return Err(Error::backend(code::ENGINE007, Retry::Now, text).unreached());
        }
        let (_entered, begun) = (self.calls.enter(), Instant::now());
        let limit = call.deadline.saturating_duration_since(begun);
        let patience = call.deadline + runtime::GRACE;
        let ran = tokio::time::timeout_at(patience.into(), self.run(id, &call, limit)).await;
        ran.unwrap_or_else(|_| Ok(runtime::timed_out(limit, runtime::handled(begun))))
    }

    async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        let recent = self.api.recent(id).await?;
        let mut all: Vec<String> =
            recent.into_iter().rev().flat_map(|printed| printed.logs).collect();
        Ok(all.split_off(all.len().saturating_sub(lines)))
    }

    async fn health(&self) -> Health {
        match self.api.health().await {
            Ok(message) => Health { ok: true, message },
            Err(error) => Health { ok: false, message: error.message },
        }
    }

    fn workers(&self) -> (u64, u64) {
        (self.calls.count(), 0)
    }

    /// Actions are not this server's alone.
    async fn shutdown(&self) {}
}

fn too_large(message: String, phases: Phases) -> Outcome {
    let (kind, stacktrace) = (InvocationErrorType::InputError, Vec::new());
    let message = format!("OpenWhisk does not take the payload: {message}");
    let error = InvocationError { kind, message, stacktrace };
    Outcome { result: Err(error), logs: Logs::default(), phases }
}

fn no_record(body: &Bytes) -> Error {
    activation::internal(&format!("no record of an activation: {}", runtime::shown(body)))
}
