//! The Lambda Runtime API, as small as it can be: it gives a function the calls of a test, one
//! after another, and keeps what comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::conformance::Case;
use crate::image::Image;

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_PAYLOAD_BYTES: usize = 6 << 20;
/// What Lambda takes as an answer.
const MAX_ANSWER: usize = MAX_PAYLOAD_BYTES;

/// What a function told of a call, or of its start.
#[derive(Debug)]
pub struct Told {
    /// `invocation/ID/response`, `invocation/ID/error` or `init/error`.
    pub path: String,
    /// The field that names an error's type.
    pub kind: Option<String>,
    pub body: String,
}

/// A server that ends with its test.
pub struct Lambda {
    pub address: String,
    calls: Sender<(String, u64)>,
    told: Receiver<Told>,
}

impl Lambda {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (calls, next) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (next, number) = (Arc::new(Mutex::new(next)), Arc::new(AtomicU64::new(0)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let side = Side { next: next.clone(), tell: tell.clone(), number: number.clone() };
                thread::spawn(move || side.serve(&stream.unwrap()));
            }
        });
        Self { address, calls, told }
    }

    /// What the function tells of a call that may take so long.
    pub fn call(&self, body: &str, time: Duration) -> Told {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ends = (now + time).as_millis() as u64;
        self.calls.send((body.to_owned(), ends)).unwrap();
        self.told()
    }

    pub fn told(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the function tells what became of it")
    }

    /// The answer to a call.
    fn answer(&self, call: &Value, time: Duration) -> Value {
        let told = self.call(&call.to_string(), time);
        assert!(told.path.ends_with("/response"), "{told:?}");
        serde_json::from_str(&told.body).unwrap()
    }
}

/// The server's side of one connection.
struct Side {
    next: Arc<Mutex<Receiver<(String, u64)>>>,
    tell: Sender<Told>,
    number: Arc<AtomicU64>,
}

impl Side {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((method, path, fields, body)) = request(&mut reader) {
            let path = path.strip_prefix("/2018-06-01/runtime/").expect("the prefix").to_owned();
            if method == "GET" {
                assert_eq!(path, "invocation/next");
                let Ok(call) = self.next.lock().unwrap().recv_timeout(PATIENCE) else { return };
                self.give(stream, &call);
                continue;
            }
            let number = self.number.load(Ordering::SeqCst);
            assert!(path == "init/error" || path.contains(&format!("call-{number}/")), "{path}");
            if path.ends_with("/response") && body.len() > MAX_ANSWER {
                respond(stream, "413 Content Too Large", "", "{}");
                continue;
            }
            respond(stream, "202 Accepted", "", r#"{"status":"OK"}"#);
            let kind = fields.iter().find_map(|line| {
                let value = line.strip_prefix("lambda-runtime-function-error-type:")?;
                Some(value.trim().to_owned())
            });
            if self.tell.send(Told { path, kind, body }).is_err() {
                return;
            }
        }
    }

    fn give(&self, stream: &TcpStream, (event, ends): &(String, u64)) {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        let fields = format!(
            "Lambda-Runtime-Aws-Request-Id: call-{number}\r\n\
             Lambda-Runtime-Deadline-Ms: {ends}\r\n"
        );
        respond(stream, "200 OK", &fields, event);
    }
}

type Request = (String, String, Vec<String>, String);

/// A request with the names of its fields in lower case.
fn request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        fields.push(format!("{}:{value}", name.to_ascii_lowercase()));
    }
    let length = fields.iter().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, fields, String::from_utf8(body).unwrap()))
}

fn respond(mut stream: &TcpStream, status: &str, fields: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n");
    // A function that has ended meanwhile is found by the test.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

const LONG: Duration = Duration::from_secs(60);

impl Case<'_> {
    fn on_lambda(&self, source: &str) -> (Lambda, Image) {
        let lambda = Lambda::start();
        let variables = [("AWS_LAMBDA_RUNTIME_API", lambda.address.as_str())];
        let image = Image::try_start(self.language, self.handler, source, &variables);
        (lambda, image)
    }

    /// Calls are asked for and answered; what is printed comes with the answer.
    pub fn asks_lambda_for_calls(&self) {
        let (lambda, _image) = self.on_lambda(self.source);
        assert_eq!(lambda.call(r#""healthz""#, LONG).body, "{}");
        for n in 0..3 {
            let call = json!({"context": {}, "payload": {"echo": [n, "zwei ü"]}});
            let answer = lambda.answer(&call, LONG);
            assert_eq!(answer["context"]["error"], Value::Null, "{answer}");
            assert_eq!(answer["payload"], json!([n, "zwei ü"]));
        }
        let secret = json!({"context": {"secrets": {"k": "v"}}, "payload": {"secret": "k"}});
        assert_eq!(lambda.answer(&secret, LONG)["payload"], "v");
        let logged = lambda.answer(&json!({"payload": {"log": "said"}}), LONG);
        let logs = json!({"stdout": ["said out"], "stderr": ["said err"]});
        assert_eq!(logged["context"]["logs"], logs);
        let failed = lambda.answer(&json!({"payload": {"fail": "on purpose"}}), LONG);
        let error = &failed["context"]["error"];
        assert_eq!(error["type"], "FunctionError");
        assert!(error["message"].as_str().unwrap().contains("on purpose"), "{error}");
        for (event, words) in [("[1]", "no JSON object"), (r#"{"context": 1}"#, "context")] {
            let refused: Value = serde_json::from_str(&lambda.call(event, LONG).body).unwrap();
            let error = &refused["context"]["error"];
            assert_eq!(error["type"], "InputError", "{refused}");
            assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        }
        let quiet = lambda.answer(&json!({"payload": {"echo": 0}}), LONG);
        assert_eq!(quiet["context"]["logs"], json!({"stdout": [], "stderr": []}));
    }

    /// The largest payload goes through; an answer Lambda does not take is an error that says so.
    pub fn keeps_to_what_lambda_takes(&self) {
        let (lambda, _image) = self.on_lambda(self.source);
        let text = "x".repeat(MAX_PAYLOAD_BYTES - 1024);
        let answer = lambda.answer(&json!({"payload": {"echo": text}}), LONG);
        assert!(answer["payload"] == text, "{:.200}", answer.to_string());
        let call = json!({"payload": {"big": MAX_PAYLOAD_BYTES - 2}});
        let told = lambda.call(&call.to_string(), LONG);
        assert!(told.path.ends_with("/error"), "{:?}", told.path);
        assert_eq!(told.kind.as_deref(), Some("FunctionError"));
        let error: Value = serde_json::from_str(&told.body).unwrap();
        assert!(error["errorMessage"].as_str().unwrap().contains("does not take"), "{error}");
        let answer = lambda.answer(&json!({"payload": {"echo": "well"}}), LONG);
        assert_eq!(answer["payload"], "well");
    }

    /// Lambda's own time for a call counts, and the context's when it is shorter.
    pub fn ends_a_call_before_lambda_does(&self) {
        let (lambda, image) = self.on_lambda(self.source);
        let (never, mark) = (image.file("never"), image.file("mark"));
        let wait = json!({"wait": never, "mark": mark});
        let answer = lambda.answer(&json!({"payload": wait}), Duration::from_secs(1));
        let message = answer["context"]["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("the function timed out after "), "{message}");
        let call = json!({"context": {"timeout": 150}, "payload": wait});
        let message = &lambda.answer(&call, LONG)["context"]["error"]["message"];
        assert_eq!(message, "the function timed out after 150 ms");
        let answer = lambda.answer(&json!({"payload": {"exit": 7}}), LONG);
        let message = answer["context"]["error"]["message"].as_str().unwrap();
        assert!(message.contains("process ended"), "{message}");
        let answer = lambda.answer(&json!({"payload": {"echo": "well"}}), LONG);
        assert_eq!(answer["payload"], "well");
    }

    /// A handler that does not load is an error of the start.
    pub fn tells_lambda_why_it_does_not_load(&self, words: &str) {
        let (lambda, mut image) = self.on_lambda("no ( program {");
        let told = lambda.told();
        assert_eq!(told.path, "init/error");
        assert_eq!(told.kind.as_deref(), Some("FunctionError"));
        let error: Value = serde_json::from_str(&told.body).unwrap();
        assert!(error["errorMessage"].as_str().unwrap().contains(words), "{error}");
        let (code, said) = image.ended();
        assert!(code != Some(0) && said.contains(words), "{code:?} {said}");
    }
}

/// Calls `handler` of `managed.*` as Lambda's own runtime of a language does: the events are on
/// the standard input, the answers on the standard output.
const PYTHON: &str = "
import json, sys, managed
class Context:
    def get_remaining_time_in_millis(self): return 1500
print(json.dumps([managed.handler(event, Context()) for event in json.load(sys.stdin)]))
";
const NODE: &str = r#"
const managed = require("./managed.js");
const events = JSON.parse(require("node:fs").readFileSync(0));
(async () => {
  const answers = [];
  const context = { getRemainingTimeInMillis: () => 1500 };
  for (const event of events) answers.push(await managed.handler(event, context));
  console.log(JSON.stringify(answers));
  process.exit(0);
})();
"#;
const RUBY: &str = r#"
require "json"
require_relative "managed"
context = Class.new { def get_remaining_time_in_millis = 1500 }.new
answers = JSON.parse($stdin.read).map do |event|
  DispatchManaged.handler(event: event, context: context)
end
puts JSON.generate(answers)
"#;

impl Case<'_> {
    /// Lambda's own runtime gives calls to the same workers.
    pub fn is_called_by_lambdas_own_runtime(&self) {
        let script = match self.language.name.as_str() {
            "python3" => PYTHON,
            "nodejs" => NODE,
            _ => RUBY,
        };
        let directory = tempfile::tempdir().unwrap();
        let function = directory.path().join("function");
        std::fs::create_dir(&function).unwrap();
        for file in &self.language.files {
            std::fs::write(directory.path().join(&file.name), &*file.text).unwrap();
        }
        let name = self.language.source.file_name(self.handler);
        std::fs::write(function.join(name), self.source).unwrap();
        let script_at = directory.path().join("runtime");
        std::fs::write(&script_at, script).unwrap();
        let wait = json!({"wait": directory.path().join("never"), "mark": function.join("mark")});
        let events = json!(["healthz", {"payload": {"log": "said", "echo": "ü"}},
            {"payload": wait}, {"context": {"secrets": {"k": "v"}}, "payload": {"secret": "k"}}]);
        let mut child = Command::new(self.language.program())
            .arg(&script_at)
            .current_dir(directory.path())
            .env("DISPATCH_HANDLER", self.handler)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(events.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(answers[0], json!({}));
        let logs = json!({"stdout": ["said out"], "stderr": ["said err"]});
        let context = json!({"error": null, "logs": logs});
        assert_eq!(answers[1], json!({"context": context, "payload": "ü"}));
        let message = answers[2]["context"]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("the function timed out after 1"), "{message}");
        assert_eq!(answers[3]["payload"], "v");
    }
}
