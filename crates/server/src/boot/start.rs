//! Puts the rooms together.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::ServiceExt as _;
use axum::extract::Request;
use dispatch_driver::Beside;
use dispatch_store::{Options, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::engines::{Made, Sources};
use super::lock::{Lock, lock};
use super::{Running, engines, first, housekeeping, secret_stores};
use crate::app::{App, session_upkeep};
use crate::audit::Audit;
use crate::authn::{Authn, Bootstrap};
use crate::authz::Authorizer;
use crate::config::{Config, Synchronous};
use crate::content::{ContentMetrics, Contents, Kept};
use crate::controllers::Controllers;
use crate::gateway::tls::Certificates;
use crate::gateway::{Gateway, GatewayMetrics};
use crate::http::router::{router, without_trailing_slash};
use crate::invoke::{EngineMaker, Invoker, RunMetrics, usage};
use crate::seal::Seal;
use crate::secrets::{SecretMetrics, Secrets};
use crate::signin::{Attempts, Paced, Providers, SignInMetrics, SignIns, Used};
use crate::telemetry::Metrics;

/// What all of a process needs before anything else: one provider of cryptography.
pub fn prepare() {
    // Already installed is as good: tests start several servers in one process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Builds everything but the listeners, and takes it down again.
pub async fn check(config: &Config) -> Result<Vec<String>> {
    let api = config.api.listen;
    let built = build(config, api, engines::build).await?;
    let running = built.running([api, config.gateway.http, config.gateway.https]);
    let notes = running.notes();
    running.stop().await;
    Ok(notes)
}

/// Starts a server. When this returns it serves.
pub async fn start(config: Config) -> Result<Running> {
    start_with(config, engines::build).await
}

/// The same with engines of the caller's making.
pub(super) async fn start_with(
    config: Config,
    engines: impl AsyncFnOnce(&Config, &Store, &Kept) -> Result<Made>,
) -> Result<Running> {
    let api = bind(config.api.listen, "the API").await?;
    let http = bind(config.gateway.http, "the gateway").await?;
    let https = bind(config.gateway.https, "the gateway's TLS").await?;
    let addresses = [api.local_addr()?, http.local_addr()?, https.local_addr()?];
    let built = build(&config, addresses[0], engines).await?;
    let credential = first::credential(&built.app.store, &built.app.authn, &config).await?;
    let new = built.app.authn.takes_one_time();
    let providers = &built.app.sign_ins.providers;
    if !new && providers.is_empty() && !built.app.authn.can_sign_in() {
        bail!(
            "nobody could sign in to the API on {}: configure bootstrap.user and \
             bootstrap.public_key, or set up the first account on 127.0.0.1. Without them only \
             this machine is served, on 127.0.0.1 and until there is a policy for the first time",
            addresses[0]
        );
    }
    built.controllers.start().await.map_err(|e| anyhow::anyhow!("controllers: {e}"))?;
    let gateway = built.controllers.gateway.clone();
    let mut running = built.running(addresses);
    running.credential = credential;
    let log = config.store.change_log;
    running.tasks.spawn(housekeeping::run(running.app.clone(), log, running.stop.clone()));
    running.tasks.spawn(running.app.audit.clone().run(running.stop.clone()));
    running.tasks.spawn(housekeeping::follow_access(running.app.clone(), running.stop.clone()));
    running.tasks.spawn(session_upkeep::follow(running.app.clone(), running.stop.clone()));
    running.tasks.spawn(session_upkeep::keep(running.app.clone(), running.stop.clone()));
    let (invoker, usage) = (running.app.invoker.clone(), config.usage.clone());
    running.tasks.spawn(usage::keep(invoker, usage, running.stop.clone()));
    running.listeners.push(serve_api(running.app.clone(), api, running.stop.clone()));
    running.listeners.push(tokio::spawn(gateway.serve(http, https, running.stop.clone())));
    Ok(running)
}

async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::AddrInUse => "; something listens there already: port 0 takes a free one",
            ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
            ErrorKind::PermissionDenied => "; ports below 1024 are root's",
            _ => "",
        };
        anyhow::anyhow!("{what} cannot listen on {address}: {error}{fix}")
    })
}

fn serve_api(
    app: Arc<App>,
    listener: TcpListener,
    stop: CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let service = router(app).map_request(without_trailing_slash as fn(Request) -> Request);
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        let serve = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serve.await {
            tracing::error!(%error, "the API's listener failed");
        }
    })
}

/// Everything but what listens.
struct Built {
    app: Arc<App>,
    controllers: Controllers,
    config: Config,
    lock: Lock,
    fingerprint: String,
}

impl Built {
    fn running(self, [api, gateway_http, gateway_https]: [SocketAddr; 3]) -> Running {
        Running {
            api,
            gateway_http,
            gateway_https,
            data_dir: self.config.data_dir(),
            fingerprint: self.fingerprint,
            stop: self.controllers.stop.clone(),
            tasks: self.controllers.tasks.clone(),
            grace: Duration::from_secs(self.config.server.shutdown_s),
            listeners: Vec::new(),
            credential: None,
            app: self.app,
            lock: self.lock,
        }
    }
}

async fn build(
    config: &Config,
    api: SocketAddr,
    engines: impl AsyncFnOnce(&Config, &Store, &Kept) -> Result<Made>,
) -> Result<Built> {
    let data_dir = config.data_dir();
    let lock = lock(&data_dir)?;
    let store = open_store(config).await?;
    let seal = Arc::new(Seal::open(&data_dir, &config.seal, &store).await?);
    let resealed = seal.adopt(&store).await?;
    if resealed > 0 {
        tracing::info!(resealed, "secrets were sealed with the first root key");
    }
    let metrics = Arc::new(Metrics::default());
    let secrets = open_secrets(config, &store, &seal, &metrics)?;
    first::organization(&store).await?;
    let authorizer = Authorizer::load(&store).await?;
    let bootstrap =
        Bootstrap::load(&data_dir, &config.bootstrap.user, &config.bootstrap.public_key)?;
    let auth = config.auth.clone();
    auth.check()?;
    let types = dispatch_adapters::identity::types();
    let sign_ins = SignIns {
        providers: Providers::open(&auth.providers_file, &types)?,
        attempts: Attempts::default(),
        key: seal.sign_in_key(&store).await?,
        used: Used::default(),
        paced: Paced::default(),
        metrics: metrics.register(SignInMetrics::register),
    };
    let mint = sign_ins.key.mint();
    let authn = Authn::load(&store, authorizer.clone(), auth, bootstrap, mint, api).await?;
    let owner = rustix::process::geteuid().is_root().then_some(config.process.image_uid);
    let images = Kept::open(&config.images, &data_dir, owner, &store)?;
    let Made { engines, types, workshop } = engines(config, &store, &images).await?;
    first::engines(&store, &engines).await?;
    let languages = config.process.languages()?;
    let engine_maker = Arc::new(EngineMaker {
        store: store.clone(),
        secrets: secrets.clone(),
        types,
        embedded: engines::embedded(&engines),
        beside: Beside {
            sources: Arc::new(Sources(store.clone())),
            images: Some(Arc::new(images.clone())),
            languages: languages.clone(),
        },
    });
    let settings = config.images.clone();
    let beside = (store.clone(), &*seal, secrets.clone());
    let sources = Arc::new(Sources(store.clone()));
    metrics.register(|registry| authorizer.metrics().register(registry));
    let content_metrics = Arc::new(metrics.register(ContentMetrics::register));
    let contents =
        Contents::open(images, settings, languages, workshop, beside, sources, content_metrics)
            .await?;
    let contents = Arc::new(contents);
    let run_metrics = Arc::new(metrics.register(RunMetrics::register));
    let runs = config.runs.clone();
    let invoker = Invoker::new(store.clone(), secrets.clone(), engines.clone(), run_metrics, runs);
    let certificates = Certificates::open(&data_dir)?;
    let fingerprint = certificates.fingerprint();
    let gateway_metrics = metrics.register(GatewayMetrics::register);
    let settings = config.gateway.settings();
    let gateway = Gateway::new(invoker.clone(), certificates, gateway_metrics, settings);
    let stop = CancellationToken::new();
    let controllers = Controllers {
        store: store.clone(),
        engines: engines.clone(),
        engine_maker: engine_maker.clone(),
        engine_health: config.engines.clone(),
        contents: contents.clone(),
        invoker: invoker.clone(),
        secrets: secrets.clone(),
        gateway,
        stop: stop.clone(),
        tasks: TaskTracker::new(),
    };
    let (key, kept) = (Arc::new(seal.audit_key(&store).await?), config.audit.clone());
    let audit = metrics.register(|registry| Audit::new(store.clone(), key, kept, registry));
    let limits = config.limits.clone();
    let access = tokio::sync::watch::Sender::default();
    let app = App {
        store,
        authn,
        authorizer,
        seal,
        sign_ins,
        audit,
        secrets,
        invoker,
        engines,
        engine_maker,
        contents,
        metrics,
        limits,
        granting: tokio::sync::Mutex::default(),
        quotas: config.quotas.quota()?,
        access,
        stop,
    };
    let config = config.clone();
    Ok(Built { app: Arc::new(app), controllers, config, lock, fingerprint })
}

fn open_secrets(
    config: &Config,
    store: &Store,
    seal: &Arc<Seal>,
    metrics: &Metrics,
) -> Result<Arc<Secrets>> {
    let metrics = metrics.register(SecretMetrics::register);
    let (settings, make) = (config.secrets.clone(), secret_stores::make);
    Ok(Arc::new(Secrets::open(settings, store, seal.clone(), metrics, make)?))
}

pub(super) async fn open_store(config: &Config) -> Result<Store> {
    let store = &config.store;
    let options = Options {
        readers: store.readers,
        synchronous: match store.synchronous {
            Synchronous::Full => dispatch_store::Synchronous::Full,
            Synchronous::Normal => dispatch_store::Synchronous::Normal,
        },
        postgres_connections: store.postgres_connections,
        run_queue: store.run_queue,
        secret_versions: config.secrets.versions,
        ..Options::default()
    };
    let opened = Store::open(&config.database_url(), options).await;
    opened.context("server.database (--database) cannot be opened")
}
