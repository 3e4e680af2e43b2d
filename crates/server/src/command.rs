//! The command line of `dispatch-server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::boot::{self, Running};
use crate::config::{Config, Layers, address};
use crate::{http, telemetry};

mod tip;

/// Dispatch: the server of functions, APIs and who may use them.
#[derive(Debug, Parser)]
#[command(name = "dispatch-server", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is stopped.
    Run {
        #[command(flatten)]
        settings: Settings,
        /// Print one JSON line with the addresses once it serves.
        #[arg(long)]
        ready_json: bool,
    },
    /// Builds everything but the listeners, and says what this machine lacks.
    CheckConfig(Settings),
    /// Prints what this server is.
    Version,
    /// Prints the OpenAPI document.
    Openapi,
    /// Makes a new root key and seals every secret with it. The server must be stopped.
    RotateRootKey(Settings),
}

#[derive(Debug, Args)]
struct Settings {
    /// Settings in TOML; see docs/reference/config.md.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the API; port 0 takes a free one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    api: Option<SocketAddr>,
    /// Address of the gateway [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    gateway_http: Option<SocketAddr>,
    /// Address of the gateway with TLS [default: 127.0.0.1:8444].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    gateway_https: Option<SocketAddr>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, value_name = "URL", hide_env_values = true)]
    database: Option<String>,
}

impl Settings {
    fn load(&self) -> Result<Config> {
        let mut layers = Layers::default();
        if let Some(file) = &self.config {
            layers.file(file)?;
        }
        layers.environment(std::env::vars_os())?;
        let address = |address: &Option<SocketAddr>| address.map(|a| a.to_string());
        let flags = [
            ("server", "data_dir", self.data_dir.clone()),
            ("server", "database", self.database.clone()),
            ("api", "listen", address(&self.api)),
            ("gateway", "http", address(&self.gateway_http)),
            ("gateway", "https", address(&self.gateway_https)),
        ];
        for (section, key, value) in flags {
            if let Some(value) = value {
                layers.text(section, key, &value)?;
            }
        }
        layers.config()
    }
}

/// Runs the command the process was started with.
pub fn main() -> Result<()> {
    let cli = Cli::try_parse().unwrap_or_else(|error| tip::with_tip(error).exit());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        match cli.command {
            Command::Run { settings, ready_json } => run(settings.load()?, ready_json).await,
            Command::CheckConfig(settings) => check(&settings.load()?).await,
            Command::Version => version(),
            Command::Openapi => openapi(),
            Command::RotateRootKey(settings) => rotate(&settings.load()?).await,
        }
    })
}

async fn run(config: Config, ready_json: bool) -> Result<()> {
    telemetry::log::start(config.log.format);
    // Before anything is announced, so that a stop right after it is graceful too.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = boot::start(config).await?;
    announce(&running, ready_json);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

fn announce(running: &Running, ready_json: bool) {
    let notes = running.notes();
    if ready_json {
        let line = json!({
            "api": running.api.to_string(),
            "gatewayHttp": running.gateway_http.to_string(),
            "gatewayHttps": running.gateway_https.to_string(),
            "certificate": running.certificate(),
            "certificateSha256": running.fingerprint,
            "dataDir": running.data_dir,
            "bootstrapCredential": running.credential.as_ref().map(|made| &made.text),
            "pid": std::process::id(),
        });
        print(&line.to_string());
        notes.iter().for_each(|note| tracing::info!("{note}"));
        return;
    }
    print(&format!("Dispatch {} serves", boot::version().version));
    print(&format!("  API            http://{}   (described at /docs/)", running.api));
    print(&format!("  gateway        http://{}", running.gateway_http));
    print(&format!("  gateway (TLS)  https://{}", running.gateway_https));
    print(&format!("  certificate    {}", running.certificate().display()));
    print(&format!("                 SHA-256 {}", running.fingerprint));
    print(&format!("  data           {}", running.data_dir.display()));
    if let Some(made) = &running.credential {
        let until = chrono::DateTime::from_timestamp_millis(made.expires_ms).unwrap_or_default();
        let until = until.format("%Y-%m-%d %H:%M UTC");
        print(&format!("  bootstrap      {}", made.text));
        print(&format!("                 good once, for iam only, until {until}"));
    }
    notes.iter().for_each(|note| print(&format!("  {note}")));
}

async fn check(config: &Config) -> Result<()> {
    for note in boot::check(config).await? {
        print(&note);
    }
    print("the configuration is good");
    Ok(())
}

fn version() -> Result<()> {
    print(&serde_json::to_string_pretty(&boot::version())?);
    Ok(())
}

fn openapi() -> Result<()> {
    print(http::openapi::document_text().trim_end());
    Ok(())
}

async fn rotate(config: &Config) -> Result<()> {
    let (resealed, file) = boot::rotate_root_key(config).await?;
    print(&format!(
        "{} has a new root key; {resealed} secrets were sealed with it, and the keys below it may \
         be removed",
        file.display()
    ));
    Ok(())
}

/// Prints a line. A reader that left is no reason to fail.
fn print(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
