//! OpenFaaS by its gateway's REST API: on Kubernetes, and faasd on one machine.

mod callback;
mod function;
mod gateway;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashSet;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, EngineType, Error, Health, Observed,
    Outcome, Result, Retry, Setting, engine_type,
};
use dispatch_model::code;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use uuid::Uuid;

use crate::busy;
use crate::client::InFlight;
use crate::making::or_taken_back;
use crate::runtime::{self, Reply};
use callback::Callbacks;
use function::{Status, name};
use gateway::{Flavour, Gateway};
use settings::Settings;

/// Between two looks at a function that starts.
const LOOK: Duration = Duration::from_millis(200);
/// How long a function that has printed something and does not run is waited for: what serves a
/// function prints nothing but why it does not.
const DOOMED: Duration = Duration::from_secs(3);
/// Lines of a function that does not start which its author gets to read.
const LAST_LINES: usize = 40;

/// Makes engines over OpenFaaS.
pub struct OpenFaasType;

#[async_trait]
impl EngineType for OpenFaasType {
    fn name(&self) -> &'static str {
        "openfaas"
    }

    fn about(&self) -> &'static str {
        "OpenFaaS on Kubernetes, or faasd, by its gateway"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let settings = Settings::read(&config)?;
        let callbacks = match &settings.callback {
            None => None,
            Some(callback) => {
                let listening = Callbacks::listen(&callback.listen, &callback.url).await;
                Some(listening.map_err(|error| {
                    let text = format!("settings.callbackListen, {}: {error}", callback.listen);
                    engine_type::refused(text)
                })?)
            }
        };
        Ok(Arc::new(OpenFaas {
            gateway: Gateway::new(&config, &settings)?,
            settings,
            callbacks,
            languages: beside.languages.iter().map(|language| language.name.clone()).collect(),
            name: config.name,
            known: DashSet::new(),
            calls: InFlight::default(),
        }))
    }
}

struct OpenFaas {
    name: String,
    gateway: Gateway,
    settings: Settings,
    /// Where asynchronous calls are answered; `None`: calls are answered directly.
    callbacks: Option<Callbacks>,
    languages: Vec<String>,
    /// Deployments that were ready there.
    known: DashSet<Uuid>,
    calls: InFlight,
}

impl OpenFaas {
    /// Makes the function unless it is there, and waits until it serves; `sent` tells that it was
    /// not there.
    async fn make(&self, deployment: &Deployment, sent: &mut bool) -> Result<()> {
        let Some(image) = deployment.function_image.as_deref() else {
            let text = format!(
                "the engine {} runs functions' own images only: name an image of a registry for \
                 the function, and a registry in the server's images.registry",
                self.name
            );
            return Err(Error::caller(code::ENGINE001, text));
        };
        let flavour = self.gateway.flavour().await?;
        let id = deployment.id;
        match self.gateway.function(id).await? {
            None => {
                let function = function::Function::of(deployment, image, flavour, &self.settings);
                *sent = true;
                self.gateway.deploy(&function).await?;
            }
            Some(status) if status.replicas == 0 => self.gateway.scale(id, 1).await?,
            Some(_) => {}
        }
        self.started(id).await?;
        self.known.insert(id);
        Ok(())
    }

    /// Waits until the function answers.
    async fn started(&self, id: Uuid) -> Result<()> {
        let deadline = Instant::now() + self.settings.build_timeout;
        let mut spoke = None;
        loop {
            let status = self.gateway.function(id).await?;
            let available = status.is_some_and(|status| status.available > 0);
            // faasd counts what has begun as available.
            if available && self.gateway.is_serving(id).await? {
                return Ok(());
            }
            let lines = self.gateway.logs(id, LAST_LINES).await.unwrap_or_default();
            if !lines.is_empty() {
                let since = spoke.get_or_insert_with(Instant::now);
                if since.elapsed() > DOOMED || Instant::now() > deadline {
                    return Err(Error::caller(code::ENGINE003, lines.join("\n")));
                }
            }
            if Instant::now() > deadline {
                let limit = self.settings.build_timeout.as_secs();
                let text = format!(
                    "OpenFaaS did not have {} running within {limit} s, and it printed nothing: \
                     can the cluster pull its image?",
                    name(id)
                );
                return Err(Error::backend(code::ENGINE006, Retry::Now, text));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the function answered, or why nothing came from it.
    fn outcome(&self, id: Uuid, reply: &Reply, begun: Instant) -> Result<Outcome> {
        let status = reply.status;
        if status == StatusCode::NOT_FOUND {
            self.known.remove(&id);
            return Err(unknown(&self.name));
        }
        let answered = runtime::outcome(reply, runtime::handled(begun));
        if answered.is_ok() || status.is_success() {
            return answered;
        }
        Err(refusal(reply))
    }

    async fn send(&self, id: Uuid, call: &Call) -> Result<Reply> {
        match &self.callbacks {
            None => runtime::send(self.request(&self.gateway.sync(id), call), call).await,
            Some(callbacks) => {
                let expected = callbacks.expect();
                let request = self.request(&self.gateway.asynchronous(id), call);
                let request = request.header("x-callback-url", expected.url());
                let accepted = runtime::send(request, call).await?;
                match accepted.status {
                    StatusCode::ACCEPTED => expected.answer(call.deadline).await,
                    _ => Ok(accepted),
                }
            }
        }
    }

    fn request(&self, url: &str, call: &Call) -> reqwest::RequestBuilder {
        // Without the gateway's password: the function would see it.
        let request = self.gateway.http.post(url).header(CONTENT_TYPE, "application/json");
        request.header("x-dispatch-run-id", call.run_id.to_string()).body(runtime::body(call))
    }
}

#[async_trait]
impl Engine for OpenFaas {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            languages: self.languages.clone(),
            on_images: self.languages.clone(),
            missing: Vec::new(),
            pulls_images: true,
            lasting: true,
        }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let mut sent = false;
        let made = self.make(deployment, &mut sent).await;
        or_taken_back(made, sent, self.remove(deployment.id)).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        match self.known.contains(&deployment.id) {
            true => Ok(()),
            false => self.make(deployment, &mut false).await,
        }
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        let Some(Status { replicas, available }) = self.gateway.function(id).await? else {
            return Ok(Observed::Absent);
        };
        Ok(match (replicas, available) {
            // Scaled to zero: the gateway starts one when it is called.
            (0, _) => Observed::Ready { workers: 0 },
            (_, 0) => Observed::Pending { message: format!("0 of {replicas} replicas run") },
            (_, workers) => Observed::Ready { workers },
        })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.known.remove(&id);
        self.gateway.delete(id).await
    }

    async fn invoke(&self, id: Uuid, mut call: Call) -> Result<Outcome> {
        if !self.known.contains(&id) {
            return Err(unknown(&self.name));
        }
        let _entered = self.calls.enter();
        let (begun, ends) = (Instant::now(), call.deadline);
        call.deadline = ends + runtime::GRACE;
        match self.send(id, &call).await {
            Ok(reply) => self.outcome(id, &reply, begun),
            Err(error) => runtime::unheard(error, begun, ends),
        }
    }

    async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        self.gateway.logs(id, lines).await
    }

    async fn health(&self) -> Health {
        match self.gateway.learn().await {
            Ok(Flavour { provider, release, .. }) => {
                Health { ok: true, message: format!("{provider} {release} answers") }
            }
            Err(error) => Health { ok: false, message: error.to_string() },
        }
    }

    fn workers(&self) -> (u64, u64) {
        (self.calls.count(), 0)
    }

    async fn shutdown(&self) {}
}

fn unknown(engine: &str) -> Error {
    let text = format!("the deployment is not on the engine {engine}");
    Error::backend(code::ENGINE007, Retry::Now, text).unreached()
}

/// What an answer means that is none of a function. The gateway passes on what an image answers, so
/// none tells anything of OpenFaaS itself; that shows in connections and where its health is asked.
fn refusal(reply: &Reply) -> Error {
    refused(reply).of_deployment()
}

fn refused(reply: &Reply) -> Error {
    let text = format!("OpenFaaS answers {}: {}", reply.status, runtime::shown(&reply.body));
    let after = busy::retry_after(&reply.headers).unwrap_or(Duration::from_secs(1));
    match reply.status {
        // No instance took it: the gateway found none, or those there are have enough to do.
        status if busy::is_unsent(status, &text) => {
            Error::backend(code::ENGINE005, Retry::After(after), text).unreached()
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Error::backend(code::ENGINE006, Retry::After(after), text)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::backend(code::ENGINE006, Retry::Never, text).unreached()
        }
        _ => Error::backend(code::ENGINE006, Retry::Now, text),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_driver::{Reached, Scope};
    use reqwest::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn only_a_refusal_before_the_handler_is_unreached() {
        let told = |status: u16, after: Option<&str>, body: &'static str| {
            let headers = after.map(|after| (RETRY_AFTER, after.parse().unwrap()));
            let status = StatusCode::from_u16(status).unwrap();
            let headers = headers.into_iter().collect();
            refusal(&Reply { status, headers, body: body.into() })
        };
        let second = Retry::After(Duration::from_secs(1));
        for (status, after, code, retry, reached) in [
            (503, None, "ENGINE006", second, Reached::Maybe),
            (429, Some("7"), "ENGINE005", Retry::After(Duration::from_secs(7)), Reached::No),
            (401, None, "ENGINE006", Retry::Never, Reached::No),
            (500, None, "ENGINE006", Retry::Now, Reached::Maybe),
            (502, None, "ENGINE006", Retry::Now, Reached::Maybe),
            (504, None, "ENGINE006", Retry::Now, Reached::Maybe),
        ] {
            let error = told(status, after, "words\n");
            assert_eq!(
                (error.code, error.retry, error.reached),
                (code, retry, reached),
                "{status}"
            );
            assert_eq!(error.scope, Scope::Deployment, "{status}: it may be an image's own");
            assert!(error.message.contains("words"), "{error}");
        }
        let error = told(503, None, "No endpoints available for: dispatch-1.");
        assert_eq!((error.code, error.reached), ("ENGINE005", Reached::No), "{error}");
    }
}
