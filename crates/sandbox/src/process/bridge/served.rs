//! An executable that serves the Function Runtime API: HTTP on `$PORT`, `GET /healthz` once it is
//! ready, and one `POST /` with `{"context": …, "payload": …}` for each call. It is started once
//! for a worker and stays.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

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

use super::{Answer, Environment, Limit, report, shown};

/// Every worker has a network of its own, so mostly the first port is free: only what its `egress`
/// names can be in the way.
const PORTS: std::ops::Range<u16> = 8080..8180;
/// Pause between two looks whether the executable serves.
const LOOK: Duration = Duration::from_millis(2);
/// Looks at an executable that closed its connection, before it counts as alive.
const ENDING_LOOKS: u32 = 50;
/// Bytes an answer may have beside its payload: the logs it carries, an error's stack trace.
const SLACK_BYTES: usize = 1 << 20;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A running executable.
pub struct Served {
    name: String,
    child: Child,
    port: u16,
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
    /// Starts the executable and waits until it serves, but no longer than `max_ready`.
    pub fn start(
        program: &Path,
        environment: &Environment,
        limit: Limit,
        max_payload_bytes: usize,
        max_ready: Duration,
    ) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
        let port = free_port().ok_or_else(|| format!("no port of {PORTS:?} is free"))?;
        limit.apply(&mut command);
        command.env("PORT", port.to_string()).stdin(Stdio::null());
        let name = shown(program);
        let child = command.spawn().map_err(|e| format!("{name} does not start: {e}"))?;
        let max_bytes = max_payload_bytes + SLACK_BYTES;
        let mut served = Self { name, child, port, runtime, max_bytes };
        served.wait_until_ready(max_ready).map(|()| served)
    }

    fn wait_until_ready(&mut self, max_ready: Duration) -> Result<(), String> {
        let ends = Instant::now() + max_ready;
        let mut seen = "it does not answer".to_owned();
        loop {
            match self.look(ends.saturating_duration_since(Instant::now())) {
                Ok(StatusCode::OK) => return Ok(()),
                Ok(status) => seen = format!("it answers {status}"),
                // The end of the time says less than what was seen before.
                Err(_) if Instant::now() >= ends => {}
                Err(error) => seen = error.to_string(),
            }
            let (name, port) = (&self.name, self.port);
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{name} ended with {status} before it served port {port}"));
            }
            if Instant::now() >= ends {
                let ms = max_ready.as_millis();
                return Err(format!(
                    "{name} is not ready: GET /healthz on port {port} did not answer 200 within \
                     {ms} ms: {seen}"
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The status of one look whether it is ready.
    fn look(&mut self, limit: Duration) -> Result<StatusCode, Failed> {
        self.exchange("GET", "/healthz", Bytes::new(), limit).map(|(status, _)| status)
    }

    pub fn call(&mut self, input: Vec<u8>) -> Answer {
        let answer = self.exchange("POST", "/", input.into(), Duration::MAX);
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

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("localhost:{}", self.port))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let (port, max_bytes) = (self.port, self.max_bytes);
        let exchange = async {
            // One for each exchange: a kept one may have been closed meanwhile, as many frameworks
            // do after some seconds, and that would be a call that fails although nobody saw it.
            let mut sender = connect(port).await?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), max_bytes).collect().await?.to_bytes();
            Ok::<_, Failed>((status, body))
        };
        let ended = self.runtime.block_on(async { tokio::time::timeout(limit, exchange).await });
        ended.unwrap_or_else(|_| Err("it does not answer".into()))
    }
}

fn free_port() -> Option<u16> {
    PORTS.into_iter().find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
}

async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
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
