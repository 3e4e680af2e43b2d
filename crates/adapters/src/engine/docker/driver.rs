//! The engine: deployments, calls, and the care for containers beside them.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dashmap::DashMap;
use dispatch_driver::{
    Beside, Call, Capabilities, Config, Deployment, Engine, Error, Health, Observed, Outcome,
    Phases, Result, Retry,
};
use dispatch_model::{InvocationError, InvocationErrorType, Logs, code};
use reqwest::{StatusCode, redirect};
use tokio::time::{Interval, MissedTickBehavior};
use uuid::Uuid;

use super::api::{Answer, Api, Listed};
use super::container::{DEPLOYMENT, GRACE, Plan, Starter, TIMEOUT};
use super::ending;
use super::owner::{Owner, SERVER, Seen};
use super::pool::{Pool, Slot};
use super::settings::Settings;
use super::underway::Underway;
use crate::runtime::{self, Reply};

/// Containers that are asked in vain before a call is given up.
const TRIES: u32 = 5;
/// Hosts of languages close a connection that is idle for 30 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest time that a stop of the server waits for containers.
const END: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

pub struct Docker {
    name: String,
    languages: Vec<String>,
    inner: Arc<Inner>,
    kept: OnceLock<()>,
}

struct Inner {
    starter: Arc<Starter>,
    pools: DashMap<Uuid, Arc<Pool>>,
}

impl Docker {
    pub async fn new(config: &Config, beside: &Beside) -> Result<Self> {
        let settings = Settings::read(config)?;
        // A function's image says where a redirect leads: to anything this server can reach.
        let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = client.http1_only();
        let client = client.pool_idle_timeout(KEEP_ALIVE).connect_timeout(CONNECT);
        let http = client.build().map_err(|error| {
            Error::ours(code::ENGINE006, format!("no HTTP client can be made: {error}"))
        })?;
        let api = Api::new(config).await?;
        let (owner, cared) = (Owner::new(), Default::default());
        let starter = Arc::new(Starter { api, settings, owner, http, cared });
        let languages = beside.languages.iter().map(|language| language.name.clone()).collect();
        let inner = Arc::new(Inner { starter, pools: DashMap::new() });
        Ok(Self { name: config.name.clone(), languages, inner, kept: OnceLock::new() })
    }

    /// From its first use on.
    fn keep(&self) {
        self.kept.get_or_init(|| {
            let lease = self.inner.starter.settings.lease;
            tokio::spawn(renew(Arc::downgrade(&self.inner), lease));
            tokio::spawn(keep(Arc::downgrade(&self.inner), lease));
        });
    }

    /// The pool of a deployment, made where it is new.
    async fn deploy(&self, deployment: &Deployment) -> Result<Arc<Pool>> {
        self.keep();
        let plan = Plan::new(deployment, &self.inner.starter.settings)?;
        self.inner.starter.pull(&plan.image).await?;
        let starter = &self.inner.starter;
        let made = || Pool::new(plan, starter.clone());
        Ok(self.inner.pools.entry(deployment.id).or_insert_with(made).clone())
    }
}

#[async_trait]
impl Engine for Docker {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let (languages, pulls_images) = (self.languages.clone(), true);
        Capabilities { languages, pulls_images, ..Capabilities::default() }
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let pool = self.deploy(deployment).await?;
        match pool.warm().await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.remove(deployment.id).await?;
                pool.empty().await;
                Err(error)
            }
        }
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.deploy(deployment).await.map(drop)
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        let pool = self.inner.pools.get(&id).map(|pool| pool.clone());
        let api = &self.inner.starter.api;
        let listed = api.containers(&format!("{DEPLOYMENT}={id}")).await;
        let listed = listed.map_err(|failure| failure.error("cannot list containers"))?;
        let running = listed.iter().filter(|listed| listed.state == "running").count();
        let workers = u32::try_from(running).unwrap_or(u32::MAX);
        let Some(pool) = pool else {
            return Ok(if workers > 0 { Observed::Ready { workers } } else { Observed::Absent });
        };
        if let Some(error) = pool.failure().filter(|_| workers == 0) {
            return Ok(Observed::Failed { message: error.message });
        }
        let there = workers > 0
            || api
                .has_image(&pool.plan.image)
                .await
                .map_err(|failure| failure.error("cannot look for the image"))?;
        Ok(if there { Observed::Ready { workers } } else { Observed::Absent })
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        let pool = self.inner.pools.remove(&id).map(|(_, pool)| pool);
        let starter = self.inner.starter.clone();
        let listed = starter.api.containers(&format!("{DEPLOYMENT}={id}")).await;
        let listed = listed.map_err(|failure| failure.error("cannot list containers"));
        if let Some(pool) = &pool {
            pool.close();
        }
        let mut others = listed?;
        others.retain(|listed| !starter.owner.owns(listed));
        let inner = self.inner.clone();
        // Calls under way are let finish, here and at other servers.
        tokio::spawn(async move {
            let stops = others.iter().map(|other| starter.api.stop(&other.id, timeout(other)));
            futures::future::join_all(stops).await;
            let Some(pool) = pool else { return };
            pool.empty().await;
            let image = &pool.plan.image;
            if !inner.pools.iter().any(|other| other.plan.image == *image) {
                // One that another server uses stays; what is left costs disk only.
                let _ = starter.api.remove_image(image).await;
            }
        });
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        let pool = self.inner.pools.get(&id).map(|pool| pool.clone());
        let pool = pool.ok_or_else(|| {
            let text = format!("the deployment {id} is not on this server");
            Error::backend(code::ENGINE007, Retry::Now, text).unreached()
        })?;
        self.inner.run(&pool, &call).await
    }

    async fn logs(&self, id: Uuid, lines: usize) -> Result<Vec<String>> {
        let api = &self.inner.starter.api;
        let listed = api.containers(&format!("{DEPLOYMENT}={id}")).await;
        let listed = listed.map_err(|failure| failure.error("cannot list containers"))?;
        let mut all = Vec::new();
        // The list begins with the newest.
        for container in listed.iter().rev() {
            let read = api.logs(&container.id, lines).await;
            all.extend(read.map_err(|failure| failure.error("cannot read a container's log"))?);
        }
        if let Some(failure) = self.inner.pools.get(&id).and_then(|pool| pool.failure()) {
            all.extend(failure.message.lines().map(str::to_owned));
        }
        Ok(all.split_off(all.len().saturating_sub(lines)))
    }

    async fn health(&self) -> Health {
        self.keep();
        match self.inner.starter.api.ping().await {
            Ok(message) => Health { ok: true, message },
            Err(failure) => Health { ok: false, message: failure.error("no answer").message },
        }
    }

    fn workers(&self) -> (u64, u64) {
        let each = self.inner.pools.iter().map(|pool| pool.containers());
        each.fold((0, 0), |(busy, idle), (more, less)| (busy + more, idle + less))
    }

    async fn shutdown(&self) {
        let pools: Vec<_> = self.inner.pools.iter().map(|pool| pool.clone()).collect();
        self.inner.pools.clear();
        pools.iter().for_each(Pool::close);
        let starter = &self.inner.starter;
        // Also those that are starting, or have a call that nobody waits for any more.
        let own = format!("{SERVER}={}", starter.owner.instance);
        let listed = starter.api.containers(&own).await.unwrap_or_default();
        let removals = listed.iter().map(|listed| starter.api.stop(&listed.id, GRACE));
        futures::future::join_all(removals).await;
        let empty = futures::future::join_all(pools.iter().map(|pool| pool.empty()));
        if tokio::time::timeout(END, empty).await.is_err() {
            tracing::warn!("containers are left behind; another server removes them");
        }
        starter.owner.release(&starter.api).await;
    }
}

impl Inner {
    async fn run(&self, pool: &Arc<Pool>, call: &Call) -> Result<Outcome> {
        let begun = Instant::now();
        for _ in 0..TRIES {
            let slot = pool.acquire(call.deadline).await?;
            let (cold, wait, sent) = (slot.cold, begun.elapsed(), Instant::now());
            let phases = || Phases { wait, handler: sent.elapsed(), cold };
            let limit = pool.plan.deployment.timeout;
            let underway = Underway::new(&self.starter.http, slot, call, limit);
            let limit = tokio::time::timeout_at(call.deadline.into(), underway).await;
            let Ok((slot, answer)) = limit else {
                return Ok(runtime::timed_out(call.deadline - begun, phases()));
            };
            match answer {
                Ok(reply) => return outcome(&reply, phases()),
                Err(error) if error.reached == dispatch_driver::Reached::No => slot.lost(),
                Err(error) => return self.broken(&slot, error, phases()).await,
            }
        }
        let text = format!("{TRIES} containers of the function did not take the call");
        Err(Error::backend(code::ENGINE006, Retry::Now, text).unreached().of_deployment())
    }

    /// A connection that broke after the call was sent.
    async fn broken(&self, slot: &Slot, error: Error, phases: Phases) -> Result<Outcome> {
        match ending::soon(&self.starter.api, &slot.container.id).await {
            Ok(Some(message)) => {
                slot.lost();
                let kind = InvocationErrorType::FunctionError;
                let error = InvocationError { kind, message, stacktrace: Vec::new() };
                Ok(Outcome { result: Err(error), logs: Logs::default(), phases })
            }
            Ok(None) => {
                slot.retire();
                Err(error.of_deployment())
            }
            Err(gone) => {
                slot.lost();
                let text = format!("{}; {}", error.message, gone.message);
                Err(Error::backend(code::ENGINE006, Retry::Now, text))
            }
        }
    }
}

fn outcome(reply: &Reply, phases: Phases) -> Result<Outcome> {
    let outcome = runtime::outcome(reply, phases)?;
    match &outcome.result {
        // The image's own failure: no worker of it began.
        Err(error) if reply.status == StatusCode::INTERNAL_SERVER_ERROR => {
            let text = format!("the function's image failed: {}", error.message);
            Err(Error::backend(code::ENGINE006, Retry::Now, text).of_deployment())
        }
        _ => Ok(outcome),
    }
}

/// Longest time a call in a container may still take.
fn timeout(listed: &Listed) -> Duration {
    let seconds = listed.labels.get(TIMEOUT).and_then(|seconds| seconds.parse().ok());
    seconds.map_or(GRACE, Duration::from_secs)
}

/// What is done again and again in the time of a lease.
fn turns(lease: Duration) -> Interval {
    let mut turns = tokio::time::interval(lease / 4);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// Renews this server's lease, whatever else takes long: another server takes it for dead, and
/// removes its containers, when it does not.
async fn renew(inner: Weak<Inner>, lease: Duration) {
    let mut turns = turns(lease);
    loop {
        turns.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(failure) = inner.starter.owner.renew(&inner.starter.api).await {
            tracing::debug!(message = failure.error("renewing the lease").message);
        }
    }
}

/// Finds this server's containers that ended, and removes those that nobody cares for: its own and
/// of dead servers.
async fn keep(inner: Weak<Inner>, lease: Duration) {
    let (mut seen, mut before) = (Seen::new(), HashSet::new());
    let mut turns = turns(lease);
    loop {
        turns.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let Starter { api, owner, .. } = &*inner.starter;
        let done = async {
            let containers = api.containers(SERVER).await?;
            inner.tidy(&containers, &mut before).await?;
            owner.sweep(api, &containers, &mut seen, lease).await
        };
        if let Err(failure) = done.await {
            // While Docker is away, nobody can renew anything.
            seen.clear();
            tracing::debug!(message = failure.error("keeping containers").message);
        }
    }
}

impl Inner {
    async fn tidy(&self, containers: &[Listed], before: &mut HashSet<String>) -> Answer<()> {
        let own = containers.iter().filter(|listed| self.starter.owner.owns(listed));
        let mut left = HashSet::new();
        for Listed { id, state, .. } in own {
            if matches!(&**state, "exited" | "dead") {
                self.pools.iter().for_each(|pool| pool.lost(id));
            }
            if !self.starter.cared().contains(id) {
                left.insert(id.clone());
            }
        }
        // Twice: one that is just made is not cared for yet.
        for id in left.intersection(before) {
            self.starter.api.remove(id).await?;
        }
        *before = left;
        Ok(())
    }
}
