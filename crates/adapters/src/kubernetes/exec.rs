//! Credentials that a program gives, as kubeconfigs of the large clouds name one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::access::bearer;

/// Longest time such a program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before its end a credential is not used any more, in seconds.
const MARGIN_SECONDS: u64 = 30;

/// `exec` of a kubeconfig's user.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    api_version: String,
    command: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<Variable>>,
}

#[derive(Deserialize, Clone)]
struct Variable {
    name: String,
    value: String,
}

/// The program, and what it said last.
pub struct Plugin {
    exec: Exec,
    folder: PathBuf,
    /// With its end in seconds since 1970; 0 for none.
    known: Mutex<Option<(u64, HeaderValue)>>,
}

impl Plugin {
    pub fn new(exec: Exec, folder: &Path) -> Self {
        Self { exec, folder: folder.to_owned(), known: Mutex::default() }
    }

    /// One program at a time: others wait for its answer rather than starting it too.
    pub async fn authorization(&self) -> Result<HeaderValue, String> {
        let mut known = self.known.lock().await;
        if let Some((end, header)) = known.as_ref()
            && (*end == 0 || now() + MARGIN_SECONDS < *end)
        {
            return Ok(header.clone());
        }
        let (end, header) = self.run().await?;
        *known = Some((end, header.clone()));
        Ok(header)
    }

    async fn run(&self) -> Result<(u64, HeaderValue), String> {
        let (version, program) = (&self.exec.api_version, &self.exec.command);
        let about = serde_json::json!({
            "apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": false},
        });
        // A path is meant relative to the kubeconfig; a bare name is looked for in PATH.
        let place = match program.contains('/') {
            true => self.folder.join(program),
            false => PathBuf::from(program),
        };
        let mut command = tokio::process::Command::new(place);
        command
            .args(self.exec.args.iter().flatten())
            .env("KUBERNETES_EXEC_INFO", about.to_string());
        command.envs(self.exec.env.iter().flatten().map(|v| (&v.name, &v.value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| format!("{program} takes longer than {PATIENCE:?}"))?;
        let output = output.map_err(|error| format!("{program} of the kubeconfig: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} of the kubeconfig: {}: {}", output.status, said.trim()));
        }
        let said: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{program} does not write an ExecCredential: {error}"))?;
        let status = &said["status"];
        let token = status["token"].as_str().and_then(bearer).ok_or_else(|| {
            format!("{program} gives no token; client certificates of exec are not supported")
        })?;
        Ok((end(status["expirationTimestamp"].as_str()), token))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 of an RFC 3339 time; a minute from now where it cannot be read.
fn end(text: Option<&str>) -> u64 {
    let Some(text) = text else { return 0 };
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map_or(now() + 60, |time| u64::try_from(time.timestamp()).unwrap_or(0))
}
