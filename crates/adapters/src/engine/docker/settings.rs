//! What may be set of a Docker engine.

use std::net::IpAddr;
use std::time::Duration;

use dispatch_driver::{Config, Result, Setting, Value, engine_type};

pub const SETTINGS: &[Setting] = &[
    Setting::new("host", Value::Text, "Where the engine listens: unix:///PATH or tcp://HOST:PORT.")
        .default("unix:///var/run/docker.sock"),
    Setting::new(
        "caFile",
        Value::Text,
        "Path of the PEM file with the authorities that may have signed the engine's certificate; \
         turns TLS on.",
    ),
    Setting::new(
        "certificateFile",
        Value::Text,
        "Path of the PEM file with the certificate that is shown to the engine.",
    ),
    Setting::new("keyFile", Value::Text, "Path of the PEM file with that certificate's key."),
    Setting::new("username", Value::Text, "User of the registry that images are pulled from.")
        .secret(),
    Setting::new("password", Value::Text, "Password or token of that user.").secret(),
    Setting::new(
        "network",
        Value::Text,
        "Network of the containers: bridge, host, or the name of another.",
    )
    .default("bridge"),
    Setting::new(
        "reach",
        Value::Choice(&["published", "container"]),
        "How containers are reached: by a port that is published on `address`, or by their own \
         address in the network. Of no account in the network host.",
    )
    .default("published"),
    Setting::new(
        "address",
        Value::Text,
        "Address of the engine's machine on which ports are published, or, in the network host, \
         by which containers are reached.",
    )
    .default("127.0.0.1"),
    Setting::new("user", Value::Text, "User and group that containers run as, UID:GID.")
        .default("65534:65534"),
    Setting::new(
        "runtime",
        Value::Text,
        "Runtime of the containers, such as runsc; that of the engine when not given.",
    ),
    Setting::new(
        "callsPerContainer",
        Value::Number,
        "Calls that one container runs at the same time, each with the function's memory.",
    )
    .default("1"),
    Setting::new("pids", Value::Number, "Processes and threads a container may have.")
        .default("256"),
    Setting::new("cpus", Value::Number, "Processors one container may use; 0 for no limit.")
        .default("0"),
    Setting::new(
        "startTimeout",
        Value::Duration,
        "Longest time from the start of a container until it serves.",
    )
    .default("60s"),
    Setting::new("pullTimeout", Value::Duration, "Longest time to pull an image.").default("10m"),
    Setting::new(
        "lease",
        Value::Duration,
        "A server that did not renew its volume for so long is dead, and other servers remove its \
         containers.",
    )
    .default("60s"),
];

/// The settings of containers, read.
#[derive(Debug, Clone)]
pub struct Settings {
    pub network: String,
    /// By their own address, not by a published port.
    pub by_container: bool,
    pub address: IpAddr,
    pub user: String,
    pub runtime: Option<String>,
    pub calls_per_container: u32,
    pub pids: u64,
    pub cpus: u64,
    pub start_timeout: Duration,
    pub lease: Duration,
}

impl Settings {
    pub fn read(config: &Config) -> Result<Self> {
        let text = |key| config.text(key).unwrap_or_default().to_owned();
        let number = |key: &str| config.number(key).unwrap_or_default();
        let duration = |key| config.duration(key).unwrap_or_default();
        let network = text("network");
        if network == "none" {
            let rule = "settings.network is \"none\", where no container could be called; \
                        name an internal network to keep functions from connecting anywhere";
            return Err(engine_type::refused(rule));
        }
        let address = text("address");
        let address = address.parse().map_err(|_| {
            engine_type::refused(format!("settings.address is {address:?}; write an IP address"))
        })?;
        let positive = |key: &str| match number(key) {
            0 => Err(engine_type::refused(format!("settings.{key} is 0; write 1 or more"))),
            many => Ok(many),
        };
        if duration("lease") < Duration::from_secs(1) {
            return Err(engine_type::refused("settings.lease is too short; write 1s or more"));
        }
        Ok(Self {
            network,
            by_container: text("reach") == "container",
            address,
            user: text("user"),
            runtime: config.text("runtime").map(str::to_owned),
            calls_per_container: positive("callsPerContainer")?.try_into().unwrap_or(u32::MAX),
            pids: positive("pids")?,
            cpus: number("cpus"),
            start_timeout: duration("startTimeout"),
            lease: duration("lease"),
        })
    }

    pub fn on_host(&self) -> bool {
        self.network == "host"
    }
}
