//! `api/engine.openapi.json` is what goes over the wire: every request of the driver and every
//! answer of the example is held against it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dispatch_adapters::engine::remote::bed::RemoteBed;
use dispatch_driver::conformance::{self, Bed as _};
use dispatch_systems::programs::has;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::example::{Example, TOKEN};

/// Cases whose requests and answers are of all kinds.
const CASES: &[&str] =
    &["echo", "logs", "failure", "timeout", "exit", "broken", "remove", "unknown"];

/// One exchange: method, path, body; status, body.
type Exchange = (String, String, Bytes, u16, Bytes);

/// Passes requests on, and keeps what it saw.
struct Recorder {
    to: String,
    client: reqwest::Client,
    seen: Mutex<Vec<Exchange>>,
}

impl Recorder {
    async fn start(to: String) -> (Arc<Self>, SocketAddr) {
        let seen = Mutex::default();
        let recorder = Arc::new(Self { to, client: reqwest::Client::new(), seen });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let recorder = served.clone();
                tokio::spawn(async move {
                    let pass = service_fn(move |request| recorder.clone().pass(request));
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that leaves is no failure of the test.
                    let _ = server.serve_connection(TokioIo::new(stream), pass).await;
                });
            }
        });
        (recorder, address)
    }

    async fn pass(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> reqwest::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let url = format!("{}{}", self.to, head.uri);
        let sent = self.client.request(head.method.clone(), url).headers(head.headers);
        let answer = sent.body(body.clone()).send().await?;
        let (status, came) = (answer.status(), answer.bytes().await?);
        let exchange = (
            head.method.to_string(),
            head.uri.path().to_owned(),
            body,
            status.as_u16(),
            came.clone(),
        );
        self.seen.lock().unwrap().push(exchange);
        let mut response = Response::new(Full::new(came));
        *response.status_mut() = status;
        Ok(response)
    }
}

/// The document, and what has been found in it.
struct Document {
    whole: Value,
    used: Vec<String>,
}

impl Document {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/engine.openapi.json");
        let whole = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        Self { whole, used: Vec::new() }
    }

    /// Follows a reference inside the document.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(pointer) => self.whole.pointer(pointer.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// A validator of what is at `content` there.
    fn validator(&self, holder: &Value) -> Option<Validator> {
        let schema = holder.pointer("/content/application~1json/schema")?;
        let schema = json!({"allOf": [schema], "components": self.whole["components"]});
        Some(jsonschema::validator_for(&schema).unwrap())
    }

    fn check(&mut self, (method, path, sent, status, came): &Exchange) {
        let pattern = pattern(path);
        let name = format!("{method} {pattern}");
        let operation = self.whole["paths"][&pattern][method.to_lowercase()].clone();
        assert!(operation.is_object(), "{name} is not in the document");
        if let Some(validator) = self.validator(&operation["requestBody"]) {
            valid(&validator, sent, &format!("the body of {name}"));
        }
        let responses = &operation["responses"];
        let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
        let validator = self.validator(self.resolve(response));
        let validator = validator.unwrap_or_else(|| panic!("{name} has no answer {status}"));
        valid(&validator, came, &format!("the answer {status} to {name}"));
        self.used.push(name);
    }
}

fn pattern(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.len() == 36 { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn valid(validator: &Validator, body: &Bytes, what: &str) {
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|e| panic!("{what}: {e}"));
    let wrong: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?} in {value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_what_goes_over_the_wire() {
    if !has(&["python3"]) {
        return;
    }
    let example = Example::start().await;
    let (recorder, address) = Recorder::start(example.url()).await;
    let bed = RemoteBed::new(&format!("http://{address}"), Some(TOKEN), None).await.unwrap();
    conformance::run_some(&bed, |name| CASES.contains(&name), |_| {}).await.assert();
    let deployment = bed.deployment(conformance::Program::Conformance).await.unwrap();
    bed.engine().build(&deployment).await.unwrap();
    assert!(bed.engine().logs(deployment.id, 5).await.unwrap().is_empty());
    bed.engine().remove(deployment.id).await.unwrap();

    let mut document = Document::read();
    for exchange in recorder.seen.lock().unwrap().iter() {
        document.check(exchange);
    }
    for (path, operations) in document.whole["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().keys().filter(|key| *key != "parameters");
        for method in methods {
            let name = format!("{} {path}", method.to_uppercase());
            assert!(document.used.contains(&name), "nobody asks for {name}");
        }
    }
}
