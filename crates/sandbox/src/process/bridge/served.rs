//! An executable that serves the Function Runtime API: HTTP on `$PORT`, `GET /healthz` once it is
//! ready, and one `POST /` with `{"context": …, "payload": …}` for each call. It is started once
//! for a worker and stays.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{Answer, Environment, report, shown};

/// Every worker has a network of its own, so the port is free.
const PORT: u16 = 8080;
/// Pause between two looks whether the executable serves. The server bounds the whole wait.
const LOOK: Duration = Duration::from_millis(2);
/// Looks at an executable that closed its connection, before it counts as alive.
const ENDING_LOOKS: u32 = 50;
/// Bytes an answer may have beside its payload: the logs it carries, an error's stack trace.
const SLACK_BYTES: usize = 1 << 20;

/// A running executable.
pub struct Served {
    name: String,
    child: Child,
    runtime: Runtime,
    max_bytes: usize,
}

/// An answer as the Function Runtime API has it.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    context: ReplyContext,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ReplyContext {
    error: Option<ReplyError>,
    #[serde(default)]
    logs: ReplyLogs,
}

#[derive(Deserialize)]
struct ReplyError {
    #[serde(default)]
    message: String,
    stacktrace: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct ReplyLogs {
    stdout: Option<Vec<String>>,
    stderr: Option<Vec<String>>,
}

impl Served {
    /// Starts the executable and waits until it serves.
    pub fn start(
        program: &Path,
        environment: &Environment,
        max_payload_bytes: usize,
    ) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
        command.env("PORT", PORT.to_string()).stdin(Stdio::null());
        let name = shown(program);
        let child = command.spawn().map_err(|e| format!("{name} does not start: {e}"))?;
        let max_bytes = max_payload_bytes + SLACK_BYTES;
        let mut served = Self { name, child, runtime, max_bytes };
        while !served.is_healthy() {
            if let Ok(Some(status)) = served.child.try_wait() {
                let name = &served.name;
                return Err(format!("{name} ended with {status} before it served port {PORT}"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(served)
    }

    pub fn call(&mut self, input: Vec<u8>) -> Answer {
        let answer = self.exchange("POST", "/", input.into());
        match answer {
            Ok((status, body)) => judge(&self.name, status, &body),
            Err(error) => Answer::Gone(report(&match self.ending() {
                Some(status) => format!("{} ended with {status}", self.name),
                None => format!("{} does not answer: {error}", self.name),
            })),
        }
    }

    /// How the executable ended, when it did: its connection closes a moment before.
    fn ending(&mut self) -> Option<ExitStatus> {
        for _ in 0..ENDING_LOOKS {
            // An error means that there is nothing to wait for.
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(LOOK),
                ended => return ended.ok().flatten(),
            }
        }
        None
    }

    fn is_healthy(&mut self) -> bool {
        let answer = self.exchange("GET", "/healthz", Bytes::new());
        answer.is_ok_and(|(status, _)| status == StatusCode::OK)
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("localhost:{PORT}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let max_bytes = self.max_bytes;
        self.runtime.block_on(async {
            // One for each exchange: a kept one may have been closed meanwhile, as many frameworks
            // do after some seconds, and that would be a call that fails although nobody saw it.
            let mut sender = connect().await?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), max_bytes).collect().await?.to_bytes();
            Ok((status, body))
        })
    }
}

async fn connect() -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(("127.0.0.1", PORT)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the connection; what went wrong there, the sender says.
    tokio::spawn(connection);
    Ok(sender)
}

fn judge(name: &str, status: StatusCode, body: &[u8]) -> Answer {
    let failed = |message: String| Answer::Failed(report(&message));
    if status != StatusCode::OK {
        let text = String::from_utf8_lossy(body);
        let start: String = text.chars().take(1_000).collect();
        return failed(format!("{name} answered {status}: {start}"));
    }
    let reply: Reply<'_> = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => {
            return failed(format!("{name} did not answer as the Function Runtime API: {error}"));
        }
    };
    let logs = reply.context.logs;
    print(std::io::stdout(), logs.stdout.unwrap_or_default());
    print(std::io::stderr(), logs.stderr.unwrap_or_default());
    match reply.context.error {
        Some(error) => Answer::Failed(of_error(error)),
        None => Answer::Result(reply.payload.map_or("null", RawValue::get).into()),
    }
}

fn of_error(error: ReplyError) -> Value {
    json!({ "message": error.message, "stacktrace": error.stacktrace.unwrap_or_default() })
}

/// Lines an answer carries belong to the run's log, as those that were printed do.
fn print(mut stream: impl Write, lines: Vec<String>) {
    for line in lines {
        // The pipe is the server's; without a reader nobody misses the line.
        let _ = writeln!(stream, "{line}");
    }
    let _ = stream.flush();
}
