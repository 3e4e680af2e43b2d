//! Credentials that a program gives, as kubeconfigs of the large clouds name one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

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
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    exec: Exec,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With its end in seconds since 1970; 0 for none.
    known: Option<(u64, HeaderValue)>,
    running: Option<watch::Receiver<Said>>,
}

/// What a program gave; `None` until it has ended.
type Said = Option<Result<HeaderValue, String>>;

impl Plugin {
    pub fn new(exec: Exec, folder: &Path) -> Self {
        Self(Arc::new(Inner { exec, folder: folder.to_owned(), state: Mutex::default() }))
    }

    /// One program at a time: others wait for its answer rather than starting it too. It goes on
    /// when those who wait have less time than it needs.
    pub async fn authorization(&self) -> Result<HeaderValue, String> {
        let mut running = {
            let mut state = self.state();
            match &state.known {
                Some((end, header)) if *end == 0 || now() + MARGIN_SECONDS < *end => {
                    return Ok(header.clone());
                }
                _ => state.running.get_or_insert_with(|| self.start()).clone(),
            }
        };
        let said = running.wait_for(Option::is_some).await;
        let said = said.map_err(|_| "the program of the kubeconfig was given up".to_owned())?;
        said.clone().unwrap_or_else(|| Err("the program said nothing".to_owned()))
    }

    /// The API refuses a token: the program is asked for another one. False: it is not the one
    /// that is used now.
    pub fn refused(&self, token: &HeaderValue) -> bool {
        let mut state = self.state();
        let is_used = state.known.as_ref().is_some_and(|(_, known)| known == token);
        if is_used {
            state.known = None;
        }
        is_used
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> watch::Receiver<Said> {
        let (sender, receiver) = watch::channel(None);
        let plugin = self.clone();
        tokio::spawn(async move {
            let ran = plugin.0.run().await;
            let mut state = plugin.state();
            let said = ran.map(|(end, header)| {
                state.known = Some((end, header.clone()));
                header
            });
            state.running = None;
            // Also when nobody waits for it any more.
            sender.send_replace(Some(said));
        });
        receiver
    }
}

impl Inner {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that takes a moment, and gives the number of times it was started.
    fn plugin(folder: &Path) -> Plugin {
        let script = "#!/bin/sh\ncd $(dirname $0); echo >>ran; sleep 0.5\n\
                      echo '{\"status\": {\"token\": \"'$(wc -l <ran)'\"}}'\n";
        let file = folder.join("credential");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        let (api_version, command) = ("v1".to_owned(), "./credential".to_owned());
        Plugin::new(Exec { api_version, command, args: None, env: None }, folder)
    }

    #[tokio::test]
    async fn the_program_goes_on_when_nobody_has_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = plugin(folder.path());
        for _ in 0..3 {
            let hasty = Duration::from_millis(50);
            assert!(tokio::time::timeout(hasty, plugin.authorization()).await.is_err());
        }
        assert_eq!(plugin.authorization().await.unwrap(), "Bearer 1");
        assert_eq!(plugin.authorization().await.unwrap(), "Bearer 1");
    }

    #[tokio::test]
    async fn a_token_that_was_refused_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = plugin(folder.path());
        let first = plugin.authorization().await.unwrap();
        assert!(plugin.refused(&first));
        assert_eq!(plugin.authorization().await.unwrap(), "Bearer 2");
        // Another request had the first one still.
        assert!(!plugin.refused(&first));
        assert_eq!(plugin.authorization().await.unwrap(), "Bearer 2");
    }
}
