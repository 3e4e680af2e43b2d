//! A server of one test, in the test's own process.

use std::ops::Deref;
use std::path::Path;

use dispatch_server::boot::{self, Running};
use dispatch_server::config::{Config, Layers};
use tempfile::TempDir;

use crate::{Client, Database, server_binary};

/// How a server of a test is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings in TOML, over the defaults.
    pub settings: String,
}

/// A running server and its client. [`Server::stop`] ends it gracefully; dropping it just lets go.
pub struct Server {
    running: Option<Running>,
    client: Client,
    options: Options,
    database: Database,
    dir: TempDir,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        Self::start_on(Database::chosen().await, options).await
    }

    /// On a database that the test has chosen itself.
    pub async fn start_on(database: Database, options: Options) -> Self {
        boot::prepare();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let running = start(dir.path(), &database, &options).await;
        Self { client: client(&running), running: Some(running), options, database, dir }
    }

    /// Stops the server gracefully and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let running = start(self.dir.path(), &self.database, &self.options).await;
        self.client = client(&running);
        self.running = Some(running);
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// What runs inside.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("the server was not stopped")
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }
}

fn client(running: &Running) -> Client {
    Client::new(running.api, running.gateway_http)
}

async fn start(dir: &Path, database: &Database, options: &Options) -> Running {
    let config = config(dir, database, options).expect("the settings are good");
    let running = boot::start(config).await.expect("the server starts");
    assert_eq!(running.app.store.is_sqlite(), database.is_sqlite());
    running
}

fn config(dir: &Path, database: &Database, options: &Options) -> anyhow::Result<Config> {
    let mut layers = Layers::default();
    for (section, key) in [("api", "listen"), ("gateway", "http"), ("gateway", "https")] {
        layers.text(section, key, "127.0.0.1:0")?;
    }
    // A test may choose where it listens.
    layers.toml(&options.settings)?;
    layers.text("server", "data_dir", &dir.display().to_string())?;
    layers.text("server", "database", database.url())?;
    // Sandboxes are made by the server's binary, which a test's own cannot stand in for.
    layers.text("process", "init_exe", &server_binary().display().to_string())?;
    layers.config()
}
