//! AWS Lambda: functions as archives or as images, called through its REST API.

mod client;
mod credentials;
mod deploy;
mod function;
mod invoke;
mod package;
mod settings;
mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashMap;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, EngineType, Error, Fault, Health,
    Observed, Outcome, Result, Retry, Setting,
};
use dispatch_model::code;
use tokio::sync::Notify;
use uuid::Uuid;

use client::Client;
use credentials::Source;
use deploy::Deploy;
use settings::{Package, SETTINGS, Settings};

/// Longest time of a question about its health.
const HEALTH: Duration = Duration::from_secs(2);

/// Makes engines that are a region of AWS Lambda.
pub struct AwsLambdaType;

#[async_trait]
impl EngineType for AwsLambdaType {
    fn name(&self) -> &'static str {
        "aws-lambda"
    }

    fn about(&self) -> &'static str {
        "a region of AWS Lambda"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>> {
        let settings = Settings::of(&config)?;
        let http = http().map_err(|error| Error::ours(code::ENGINE006, error.to_string()))?;
        let given = settings::credentials(&config)?;
        let profile = config.text("profile").map(str::to_owned);
        let source = Arc::new(Source::new(given, profile, http.clone()));
        let client = Client::new(http, settings.endpoint.clone(), &settings.region, source);
        let (name, beside) = (config.name.clone(), beside.clone());
        Ok(Arc::new(AwsLambda { name, client, settings, beside, made: DashMap::new() }))
    }
}

/// A client for all: connections are kept, and a call may be silent for as long as it takes.
fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .tcp_keepalive(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dispatch/", env!("CARGO_PKG_VERSION")))
        .build()
}

struct AwsLambda {
    name: String,
    client: Client,
    settings: Settings,
    beside: Beside,
    made: DashMap<Uuid, Arc<Made>>,
}

/// A function that can be called.
struct Made {
    /// Where calls go.
    path: String,
    timeout: Duration,
    /// Calls under way, and the word that one has ended.
    under_way: AtomicU64,
    ended: Notify,
}

/// Counts a call for as long as it lasts, also when it is abandoned.
struct UnderWay(Arc<Made>);

impl UnderWay {
    fn new(made: Arc<Made>) -> Self {
        made.under_way.fetch_add(1, Ordering::AcqRel);
        Self(made)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

impl AwsLambda {
    fn deploy(&self) -> Deploy<'_> {
        Deploy { client: &self.client, settings: &self.settings, beside: &self.beside }
    }

    fn remember(&self, deployment: &Deployment) {
        let path = format!("{}/invocations", deploy::path(deployment.id));
        let (timeout, under_way, ended) = (deployment.timeout, AtomicU64::new(0), Notify::new());
        let made = Made { path, timeout, under_way, ended };
        self.made.entry(deployment.id).or_insert_with(|| Arc::new(made));
    }

    /// Makes a function and proves that its handler loads; what fails leaves nothing of this call
    /// behind.
    async fn make(&self, deployment: &Deployment) -> Result<()> {
        let deploy = self.deploy();
        let mut created = false;
        let made = async {
            deploy.make(deployment, &mut created).await?;
            let path = format!("{}/invocations", deploy::path(deployment.id));
            let patience = self.settings.ready_timeout.min(function::MAX_TIMEOUT);
            invoke::load(&self.client, &path, patience).await
        };
        let Err(error) = made.await else { return Ok(()) };
        // One that was there may serve another server's calls, unless it cannot serve any.
        if !created && error.fault != Fault::Caller {
            return Err(error);
        }
        if let Err(trouble) = deploy.delete(deployment.id).await {
            let left = Error::from(trouble);
            tracing::warn!(error = %left, "a function that failed could not be deleted");
        }
        Err(error)
    }

    /// Waits until the calls under way have ended, or could not go on any more.
    async fn quiet(made: &Made) {
        let ended = async {
            loop {
                let word = made.ended.notified();
                if made.under_way.load(Ordering::Acquire) == 0 {
                    return;
                }
                word.await;
            }
        };
        // Whoever is still there then is past its deadline.
        let _ = tokio::time::timeout(made.timeout, ended).await;
    }
}

#[async_trait]
impl Engine for AwsLambda {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let image = self.settings.package == Package::Image;
        let known = self.beside.languages.iter();
        let those = known.filter(|language| image || self.settings.runtime(language).is_some());
        let languages: Vec<_> = those.map(|language| language.name.clone()).collect();
        let on_images = if image { languages.clone() } else { Vec::new() };
        let missing = Vec::new();
        Capabilities { languages, on_images, missing, pulls_images: image, lasting: true }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        self.ensure(deployment).await
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        if self.made.contains_key(&deployment.id) {
            return Ok(());
        }
        // The alias is made last: where it is, all is.
        match self.deploy().look(deployment.id, deploy::ALIAS).await? {
            Observed::Ready { .. } => {}
            Observed::Pending { .. } => {
                let until = Instant::now() + self.settings.ready_timeout;
                self.deploy().settled(deployment.id, deploy::ALIAS, until).await?;
            }
            _ => self.make(deployment).await?,
        }
        self.remember(deployment);
        Ok(())
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        Ok(self.deploy().look(id, deploy::ALIAS).await?)
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        if let Some((_, made)) = self.made.remove(&id) {
            Self::quiet(&made).await;
        }
        Ok(self.deploy().delete(id).await?)
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        let Some(made) = self.made.get(&id).map(|made| made.clone()) else {
            let text = format!("the deployment {id} was not made here");
            return Err(Error::backend(code::ENGINE007, Retry::Now, text).unreached());
        };
        let under_way = UnderWay::new(made);
        let outcome = invoke::invoke(&self.client, &under_way.0.path, &call).await;
        if outcome.as_ref().is_err_and(|error| error.code == code::ENGINE007) {
            self.made.remove(&id);
        }
        outcome
    }

    async fn health(&self) -> Health {
        let Settings { region, .. } = &self.settings;
        match self.client.control_once(&deploy::list(), HEALTH).await {
            Ok(_) => Health { ok: true, message: format!("Lambda answers in {region}") },
            Err(trouble) => {
                let message = format!("Lambda in {region}: {}", Error::from(trouble).message);
                Health { ok: false, message }
            }
        }
    }

    fn workers(&self) -> (u64, u64) {
        let under_way = self.made.iter().map(|made| made.under_way.load(Ordering::Relaxed));
        (under_way.sum(), 0)
    }

    async fn shutdown(&self) {}
}
