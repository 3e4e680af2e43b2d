//! What Lambda does with functions that are images, beside ministack, which keeps them: each runs
//! as a container of Docker's engine and is given its calls by a Lambda Runtime API of its own.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Ministack;
use super::http::{Connection, Request};
use crate::docker::{self, Docker};
use crate::programs::has_root_and;

/// Longest time until a container has an answer; a call's own time is shorter.
const PATIENCE: Duration = Duration::from_secs(120);
/// The variable by which ministack finds the URL of a function's calls.
pub const VARIABLE: &str = "MINISTACK_LAMBDA_PROXY_URL";

/// All end when it is dropped.
pub struct LambdaImages {
    /// Where calls of all functions go.
    pub url: String,
    _shared: Arc<Shared>,
}

struct Shared {
    docker: Docker,
    ministack: String,
    /// Where calls of a function that runs go.
    running: Mutex<HashMap<String, Sender<Call>>>,
}

struct Call {
    request: Request,
    answer: Sender<Answer>,
}

/// What a function told: its response, or its error.
type Answer = Result<Vec<u8>, Vec<u8>>;

impl LambdaImages {
    /// None, plainly said, where it cannot be.
    pub fn start(ministack: &Ministack) -> Option<Self> {
        if !has_root_and(docker::PROGRAMS) {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
        let (docker, running) = (Docker::start(), Mutex::default());
        let shared = Arc::new(Shared { docker, ministack: ministack.url.clone(), running });
        // Weak: connections do not keep the engine.
        let weak = Arc::downgrade(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let weak = weak.clone();
                thread::spawn(move || {
                    let mut connection = Connection::new(stream);
                    while let Some(request) = connection.request() {
                        let Some(shared) = weak.upgrade() else { return };
                        let sent = shared.send(request);
                        drop(shared);
                        let answer = sent.recv_timeout(PATIENCE);
                        let answer = answer.unwrap_or_else(|error| Err(error.to_string().into()));
                        match answer {
                            Ok(body) => connection.respond(200, &[], &body),
                            Err(body) => connection.respond(502, &[], &body),
                        };
                    }
                });
            }
        });
        Some(Self { url, _shared: shared })
    }
}

impl Shared {
    /// Gives a call to its function, which is started when it does not run.
    fn send(&self, request: Request) -> Receiver<Answer> {
        let (answer, answered) = mpsc::channel();
        let name = request.fields.get("x-amzn-lambda-function-name").cloned().unwrap_or_default();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut call = Call { request, answer };
        if let Some(calls) = running.get(&name) {
            match calls.send(call) {
                Ok(()) => return answered,
                // It has ended.
                Err(unsent) => call = unsent.0,
            }
        }
        match self.run(&name) {
            Ok(calls) => {
                calls.send(call).expect("its receiver is beside it");
                running.insert(name, calls);
            }
            Err(why) => drop(call.answer.send(Err(why.into()))),
        }
        answered
    }

    /// Starts the container of a function as ministack has it.
    fn run(&self, name: &str) -> Result<Sender<Call>, String> {
        let url = format!("{}/2015-03-31/functions/{name}", self.ministack);
        let told = super::curl(&["--fail", "--header", super::OWNER_HEADER, &url]);
        let told: Value = serde_json::from_str(&told.ok_or("ministack does not know it")?)
            .map_err(|error| error.to_string())?;
        let image = told["Code"]["ImageUri"].as_str().ok_or("it has no image")?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let mut words = vec!["run".to_owned(), "--detach".to_owned(), "--network=host".to_owned()];
        words.push(format!("--env=AWS_LAMBDA_RUNTIME_API={address}"));
        let variables = told["Configuration"]["Environment"]["Variables"].as_object();
        for (name, value) in variables.into_iter().flatten() {
            words.push(format!("--env={name}={}", value.as_str().unwrap_or_default()));
        }
        words.push(image.to_owned());
        let (calls, next) = mpsc::channel();
        thread::spawn(move || Runtime { next, under_way: None }.serve(&listener));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.docker.try_run(&words)?;
        Ok(calls)
    }
}

/// The Lambda Runtime API of one container.
struct Runtime {
    next: Receiver<Call>,
    under_way: Option<Sender<Answer>>,
}

impl Runtime {
    /// One connection at a time, which is what the hosts of languages do.
    fn serve(mut self, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let mut connection = Connection::new(stream);
            while let Some(request) = connection.request() {
                let path = request.path.trim_start_matches("/2018-06-01/runtime/").to_owned();
                if path == "invocation/next" {
                    let Ok(call) = self.next.recv() else { return };
                    self.under_way = Some(call.answer);
                    let ends = call.request.fields.get("x-amzn-lambda-deadline-ms");
                    let fields = [
                        ("Lambda-Runtime-Aws-Request-Id", "call"),
                        ("Lambda-Runtime-Deadline-Ms", ends.map_or("", String::as_str)),
                    ];
                    connection.respond(200, &fields, &call.request.body);
                    continue;
                }
                if path == "init/error" {
                    connection.respond(202, &[], b"{}");
                    // The calls that wait, and then this ends with all others.
                    while let Ok(call) = self.next.recv_timeout(Duration::from_secs(1)) {
                        let _ = call.answer.send(Err(request.body.clone()));
                    }
                    return;
                }
                let failed = path.ends_with("/error");
                let answer = if failed { Err(request.body) } else { Ok(request.body) };
                connection.respond(202, &[], b"{}");
                if let Some(told) = self.under_way.take() {
                    let _ = told.send(answer);
                }
            }
        }
    }
}
