//! What every function image does. The handler is told by its payload what to do:
//! `echo`, `secret`, `log`, `fail`, `big`, `wait` for a file, `exit`, `leave` a process behind.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dispatch_driver::language::Language;
use serde_json::{Value, json};

use crate::http::{exchange, get, post, posted, read};
use crate::image::Image;

/// Small, so that a result beyond it is, too.
const MAX_PAYLOAD_BYTES: usize = 1000;
const SLACK_BYTES: usize = 1 << 20;

/// A language, and a function in it.
pub struct Case<'a> {
    pub language: &'a Language,
    pub handler: &'a str,
    pub source: &'a str,
}

impl Case<'_> {
    fn start(&self, concurrency: &str) -> Image {
        let limit = MAX_PAYLOAD_BYTES.to_string();
        let variables =
            [("DISPATCH_CONCURRENCY", concurrency), ("DISPATCH_MAX_PAYLOAD_BYTES", &limit)];
        Image::start(self.language, self.handler, self.source, &variables)
    }

    /// What is the same in all of them.
    pub fn behaves(&self) {
        let image = self.start("1");
        answers(image.port);
        logs(image.port);
        fails(image.port);
        refuses(image.port);
    }

    /// As OpenWhisk does: first /init, then calls to /run; one without a payload asks for health.
    pub fn takes_calls_of_openwhisk(&self) {
        let image = self.start("1");
        let post = |path: &str, body: &str| exchange(image.port, &posted(path, body)).unwrap();
        let init = r#"{"value": {"name": "f", "main": "main", "binary": false, "env": {}}}"#;
        assert_eq!(post("/init", init), (200, "{}".to_owned()));
        let asked = r#"{"value": {}, "namespace": "_", "activation_id": "a", "deadline": "1"}"#;
        assert_eq!(post("/run", asked), (200, "{}".to_owned()));
        let call = r#"{"value": {"context": {}, "payload": {"echo": "ü"}}, "action_name": "/_/f"}"#;
        let (status, answer) = post("/run", call);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["payload"]), (200, &json!("ü")), "{answer}");
        let (status, answer) = post("/run", r#"{"value": {"context": 1, "payload": 1}}"#);
        assert_eq!(status, 400, "{answer}");
    }

    /// A call may end its process: it fails, and the next does not.
    pub fn outlives_its_handler(&self) {
        let image = self.start("1");
        let (status, answer) = post(image.port, r#"{"payload": {"exit": 7}}"#);
        assert_eq!((status, &answer["context"]["error"]["type"]), (200, &json!("FunctionError")));
        let message = answer["context"]["error"]["message"].as_str().unwrap();
        assert!(message.contains("process ended") && message.contains('7'), "{message}");
        assert_eq!(payload(image.port, json!({"echo": 1})), json!(1));
    }

    /// Processes a call started end with it, so that they cannot print into a later one's log.
    pub fn leaves_nothing_behind(&self) {
        let image = self.start("1");
        let pid = payload(image.port, json!({"leave": true}));
        until("the process is gone", || !Path::new(&format!("/proc/{pid}/exe")).exists());
        assert_eq!(payload(image.port, json!({"echo": 1})), json!(1));
    }

    /// The context says how long it may take.
    pub fn ends_a_call_that_takes_too_long(&self) {
        let image = self.start("1");
        let (never, mark) = (image.file("never"), image.file("mark"));
        let call = json!({"context": {"timeout": 150}, "payload": {"wait": never, "mark": mark}});
        let (status, answer) = post(image.port, &call.to_string());
        assert_eq!(status, 200, "{answer}");
        let message = &answer["context"]["error"]["message"];
        assert_eq!(message, "the function timed out after 150 ms");
        assert_eq!(payload(image.port, json!({"echo": 1})), json!(1));
    }

    /// Calls wait for one another only beyond DISPATCH_CONCURRENCY; being asked for health never.
    /// Clients that say nothing, or half of it, are in nobody's way.
    pub fn serves_at_the_same_time(&self) {
        let image = self.start("2");
        let silent = TcpStream::connect(("127.0.0.1", image.port)).unwrap();
        let mut halfway = TcpStream::connect(("127.0.0.1", image.port)).unwrap();
        halfway.write_all(&posted("/", r#"{"payload": {"echo": 1}}"#)[..70]).unwrap();
        let file = image.file("go");
        let waiting = waiting_call(image.port, &file);
        assert_eq!(get(image.port, "/healthz").unwrap().0, 200);
        assert_eq!(payload(image.port, json!({"echo": "second"})), json!("second"));
        assert!(!waiting.is_finished());
        std::fs::write(&file, "").unwrap();
        assert_eq!(waiting.join().unwrap()["payload"], json!("gone on"));
        drop(silent);
        halfway.write_all(&posted("/", r#"{"payload": {"echo": 1}}"#)[70..]).unwrap();
        for n in 1..=2 {
            let (status, body) = read(&mut halfway).unwrap();
            assert_eq!((status, field(&body, "payload")), (200, json!(n)));
            // The connection goes on.
            halfway.write_all(&posted("/", r#"{"payload": {"echo": 2}}"#)).unwrap();
        }
    }

    /// One that waited for its turn until its time was over has no caller any more.
    pub fn begins_no_call_that_nobody_waits_for(&self) {
        let image = self.start("1");
        let (file, never) = (image.file("go"), image.file("never"));
        let waiting = waiting_call(image.port, &file);
        let call = json!({"context": {"timeout": 150}, "payload": {"wait": file, "mark": never}});
        let mut late = TcpStream::connect(("127.0.0.1", image.port)).unwrap();
        late.write_all(&posted("/", &call.to_string())).unwrap();
        thread::sleep(Duration::from_millis(400));
        std::fs::write(&file, "").unwrap();
        assert_eq!(waiting.join().unwrap()["payload"], json!("gone on"));
        let (status, body) = read(&mut late).unwrap();
        let error = &field(&body, "context")["error"];
        assert_eq!((status, &error["type"]), (200, &json!("FunctionError")), "{body}");
        assert_eq!(error["message"], "the function timed out after 150 ms");
        assert!(!never.exists(), "the handler was called");
        assert_eq!(payload(image.port, json!({"echo": 1})), json!(1));
    }

    /// A stop lets the call end, takes no other, and is a success.
    pub fn stops_after_the_call(&self) {
        let mut image = self.start("1");
        let file = image.file("go");
        let waiting = waiting_call(image.port, &file);
        image.terminate();
        std::fs::write(&file, "").unwrap();
        assert_eq!(waiting.join().unwrap()["payload"], json!("gone on"));
        let (code, said) = image.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(get(image.port, "/healthz").is_err());
    }

    /// A handler that does not load ends the image, and says why.
    pub fn says_why_it_does_not_load(&self, words: &str) {
        let mut image = Image::try_start(self.language, self.handler, "no ( program {", &[]);
        let (code, said) = image.ended();
        assert!(code != Some(0) && said.contains(words), "{code:?} {said}");
    }
}

fn answers(port: u16) {
    for path in ["/healthz", "/_/health", "/_/ready"] {
        assert_eq!(get(port, path).unwrap(), (200, "{}".to_owned()), "{path}");
    }
    assert_eq!(get(port, "/other").unwrap().0, 404);
    let echo = json!([1, "zwei ü", null, [true, 2.5]]);
    assert_eq!(payload(port, json!({"echo": echo})), echo);
    let call = r#"{"context": {"secrets": {"key": "value"}}, "payload": {"secret": "key"}}"#;
    let (status, body) = exchange(port, &posted("/any/path?x=1", call)).unwrap();
    let whole: Value = serde_json::from_str(&body).unwrap();
    let context = json!({"error": null, "logs": {"stdout": [], "stderr": []}});
    assert_eq!((status, whole), (200, json!({"context": context, "payload": "value"})));
    let chunks = "POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n\
                  f\r\n{\"payload\": {\"e\r\n9;x=y\r\ncho\": 7}}\r\n0\r\n\r\n";
    let (status, body) = exchange(port, chunks.as_bytes()).unwrap();
    assert_eq!((status, field(&body, "payload")), (200, json!(7)));
}

fn logs(port: u16) {
    let (_, answer) = post(port, r#"{"payload": {"log": "said"}}"#);
    let logs = json!({"stdout": ["said out"], "stderr": ["said err"]});
    assert_eq!(answer["context"]["logs"], logs);
    let (_, next) = post(port, r#"{"payload": {"echo": 0}}"#);
    assert_eq!(next["context"]["logs"], json!({"stdout": [], "stderr": []}));
}

fn fails(port: u16) {
    let (status, answer) = post(port, r#"{"payload": {"fail": "on purpose"}}"#);
    let error = &answer["context"]["error"];
    assert_eq!((status, &error["type"]), (200, &json!("FunctionError")));
    assert!(error["message"].as_str().unwrap().contains("on purpose"), "{error}");
    assert!(error["stacktrace"].is_array() && answer["payload"].is_null(), "{answer}");
    // The text and its quotes.
    assert!(payload(port, json!({"big": MAX_PAYLOAD_BYTES - 2})).is_string());
    let (_, answer) = post(port, &json!({"payload": {"big": MAX_PAYLOAD_BYTES - 1}}).to_string());
    let message = answer["context"]["error"]["message"].as_str().unwrap();
    assert!(message.contains(&MAX_PAYLOAD_BYTES.to_string()), "{message}");
}

fn refuses(port: u16) {
    for (body, words) in [
        (r#"{"payload": "#, "not JSON"),
        ("", "not JSON"),
        ("[1]", "no JSON object"),
        (r#"{"context": 1}"#, "context"),
    ] {
        let (status, answer) = post(port, body);
        let error = &answer["context"]["error"];
        assert_eq!((status, &error["type"]), (400, &json!("InputError")), "{body}");
        assert!(error["message"].as_str().unwrap().contains(words), "{body}: {error}");
    }
    let deep = format!("{{\"payload\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post(port, &deep).0, 400);
    let most = MAX_PAYLOAD_BYTES + SLACK_BYTES;
    let fits = format!("{{\"payload\":{{\"echo\":1}}{}}}", " ".repeat(most - 22));
    assert_eq!((fits.len(), post(port, &fits).0), (most, 200));
    let head = format!("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: {}\r\n\r\n", most + 1);
    let (status, body) = exchange(port, head.as_bytes()).unwrap();
    assert_eq!(status, 413, "{body}");
    assert!(body.contains(&most.to_string()), "{body}");
    assert_eq!(payload(port, json!({"echo": "well"})), json!("well"));
}

/// A call that is under way, and ends when the file is there.
fn waiting_call(port: u16, file: &Path) -> thread::JoinHandle<Value> {
    let mark = file.with_extension("begun");
    let words = json!({"payload": {"wait": file, "mark": mark}}).to_string();
    let call = thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&posted("/", &words)).unwrap();
        serde_json::from_str(&read(&mut stream).unwrap().1).unwrap()
    });
    until("the call began", || mark.exists());
    call
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let ends = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < ends, "it never came true that {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn payload(port: u16, payload: Value) -> Value {
    let (status, answer) = post(port, &json!({"context": {}, "payload": payload}).to_string());
    assert_eq!((status, &answer["context"]["error"]), (200, &Value::Null), "{answer}");
    answer["payload"].clone()
}

fn field(body: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(body).unwrap()[name].clone()
}
