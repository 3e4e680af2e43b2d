//! A real Kubernetes API: `kube-apiserver` over etcd, with certificates, tokens and RBAC of its
//! own, on loopback. Watches, resource versions, server-side apply, conflicts and validation are
//! the true ones. What no cluster is without, its controllers and its nodes, is in `controller`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs::{self, free_address};
use crate::running::Running;

pub mod api;
pub(crate) mod certificates;
pub mod controller;
pub mod definitions;
mod program;

/// Longest time to the first answer of either program.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who may do everything, by token.
pub const ADMIN: &str = "admin";
/// The same, by a client's certificate.
pub const CERTIFICATE: &str = "certificate";
/// Somebody who may do only what a role gives: the user `dispatch`.
pub const LIMITED: &str = "dispatch";

/// A running API server; ended with its database when dropped.
pub struct Kubernetes {
    /// `127.0.0.1:PORT`.
    pub address: String,
    server: Mutex<Option<Running>>,
    _etcd: Running,
    program: PathBuf,
    etcd_address: String,
    // The last field: all has ended when it goes.
    state: TempDir,
}

impl Kubernetes {
    /// None, plainly said, where this machine cannot run it.
    pub fn start() -> Option<Self> {
        if !programs::has(&["etcd"]) {
            return None;
        }
        let program = program::get()?;
        let state = tempfile::tempdir().expect("a temporary directory");
        certificates::write(state.path());
        let tokens =
            format!("{ADMIN}-token,{ADMIN},1,\"system:masters\"\n{LIMITED}-token,{LIMITED},2\n");
        fs::write(state.path().join("tokens.csv"), tokens).expect("its tokens");
        let (etcd_address, address) = (free_address().to_string(), free_address().to_string());
        let etcd = start_etcd(&etcd_address, state.path());
        let server = Mutex::new(None);
        let kubernetes = Self { address, server, _etcd: etcd, program, etcd_address, state };
        kubernetes.go_on();
        Some(kubernetes)
    }

    /// A file that gives access as one of [`ADMIN`], [`CERTIFICATE`] and [`LIMITED`], which are
    /// its contexts too; the current one is the first.
    pub fn kubeconfig(&self) -> PathBuf {
        let file = self.path("kubeconfig");
        let (authority, address) = (self.path("authority.crt"), &self.address);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {ADMIN}\nclusters:\n\
             - name: test\n  cluster:\n    server: https://{address}\n    \
             certificate-authority: {}\ncontexts:\n\
             - {{name: {ADMIN}, context: {{cluster: test, user: {ADMIN}}}}}\n\
             - {{name: {CERTIFICATE}, context: {{cluster: test, user: {CERTIFICATE}}}}}\n\
             - {{name: {LIMITED}, context: {{cluster: test, user: {LIMITED}}}}}\nusers:\n\
             - {{name: {ADMIN}, user: {{token: {ADMIN}-token}}}}\n\
             - {{name: {LIMITED}, user: {{token: {LIMITED}-token}}}}\n\
             - name: {CERTIFICATE}\n  user:\n    client-certificate: {}\n    client-key: {}\n",
            authority.display(),
            self.path("client.crt").display(),
            self.path("client.key").display(),
        );
        fs::write(&file, text).expect("a kubeconfig");
        file
    }

    /// Ends the API server; what it keeps stays in etcd.
    pub fn stop(&self) {
        drop(self.server.lock().expect("no panic holds it").take());
    }

    /// Starts the API server, which was stopped, at its old address.
    pub fn go_on(&self) {
        let child = self.start_server();
        *self.server.lock().expect("no panic holds it") = Some(child);
        self.wait();
    }

    /// The API for one who may do everything.
    pub fn api(&self) -> api::Api {
        self.api_of(ADMIN)
    }

    /// The API for one of [`ADMIN`] and [`LIMITED`].
    pub fn api_of(&self, user: &str) -> api::Api {
        let authority = fs::read(self.path("authority.crt")).expect("a certificate");
        api::Api::new(&format!("https://{}", self.address), &authority, &format!("{user}-token"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    fn start_server(&self) -> Running {
        let (host, port) = self.address.split_once(':').expect("an address has a port");
        let file = |name: &str| self.path(name).display().to_string();
        let mut command = quiet(&self.program, &self.path("server.log"));
        command.args(["--bind-address", host, "--secure-port", port, "--insecure-port=0"]);
        command.args(["--etcd-servers", &format!("http://{}", self.etcd_address)]);
        command.args(["--tls-cert-file", &file("server.crt")]);
        command.args(["--tls-private-key-file", &file("server.key")]);
        command.args(["--client-ca-file", &file("authority.crt")]);
        command.args(["--token-auth-file", &file("tokens.csv"), "--authorization-mode=RBAC"]);
        command.args(["--service-account-issuer=https://kubernetes.default.svc"]);
        command.args(["--service-account-key-file", &file("accounts.pub")]);
        command.args(["--service-account-signing-key-file", &file("accounts.key")]);
        command.args(["--service-cluster-ip-range=10.96.0.0/16"]);
        // Nobody makes the accounts' tokens here, and pods need none.
        command.args(["--disable-admission-plugins=ServiceAccount"]);
        // An address of documentation: the server wants one of its own that is not on loopback,
        // and tells it to nobody.
        command.args(["--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none"]);
        command.args(["--kubelet-preferred-address-types=InternalIP"]);
        command.args(["--cert-dir", &file("own")]);
        Running::start(command)
    }

    fn wait(&self) {
        let authority = fs::read(self.path("authority.crt")).expect("a certificate");
        let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
        let url = format!("https://{}/readyz", self.address);
        // Tests are asynchronous or not; a thread of its own can wait in both.
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(ready(authority, &url))
        });
        if let Err(last) = asked.join().expect("no panic") {
            let log = fs::read_to_string(self.path("server.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            panic!("kube-apiserver is not ready: {last}; its log:\n{end}");
        }
    }
}

async fn ready(authority: reqwest::Certificate, url: &str) -> Result<(), String> {
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build();
    let client = client.expect("a client");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = client.get(url).bearer_auth(format!("{ADMIN}-token")).send().await;
        let last = match asked {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Err(last);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn start_etcd(address: &str, state: &Path) -> Running {
    let (ours, peers) = (format!("http://{address}"), format!("http://{}", free_address()));
    let mut command = quiet(Path::new("etcd"), &state.join("etcd.log"));
    command.arg("--data-dir").arg(state.join("etcd"));
    command.args(["--listen-client-urls", &ours, "--advertise-client-urls", &ours]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}")]);
    Running::start(command)
}

/// A program that this one ends with, whose words go into a file.
fn quiet(program: &Path, log: &Path) -> Command {
    let log = fs::File::options().create(true).append(true).open(log).expect("a log");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    command
}
