//! A server as small as a test needs: it answers as it is told, and keeps what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path with its query: `GET /v1/iam/session`.
    pub line: String,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
    pub organization: Option<String>,
    pub body: Value,
    pub at: Instant,
}

/// What is answered.
pub struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: String::new(), body: body.to_string() }
    }

    /// An error as the API has it.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"code": status, "message": message}))
    }

    pub fn to(location: &str) -> Self {
        Self::redirect(303, location)
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        let answer = Self { status, headers: String::new(), body: String::new() };
        answer.with("Location", location)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }
}

/// What decides about the answers; None is 404.
type Rule = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

/// Ends with the process.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(rule: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (rule, kept): (Arc<Rule>, _) = (Arc::new(rule), asked.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (rule, kept) = (rule.clone(), kept.clone());
                std::thread::spawn(move || serve(connection, &*rule, &kept));
            }
        });
        Self { port, asked }
    }

    /// Requests whose line begins so.
    pub fn asked(&self, line: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.line.starts_with(line)).cloned().collect()
    }
}

fn serve(mut connection: TcpStream, rule: &Rule, kept: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let line = line.rsplit_once(" HTTP/")?.0.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let length = of("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (authorization, cookie) = (of("authorization"), of("cookie"));
    let (organization, at) = (of("x-dispatch-org"), Instant::now());
    let asked = Asked { line, authorization, cookie, organization, body, at };
    kept.lock().unwrap().push(asked.clone());
    let answer = rule(&asked).unwrap_or_else(|| Answer::error(404, "it is not here"));
    let Answer { status, headers, body } = answer;
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Answer\r\n{headers}Content-Length: {length}\r\n");
    let whole = format!("{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}");
    connection.write_all(whole.as_bytes()).ok()
}

/// A provider with these ways to sign in.
pub fn provider(name: &str, ways: &[&str]) -> Value {
    let mut provider = json!({"name": name, "type": "oidc", "title": format!("The {name} ones")});
    for way in ways {
        provider[*way] = json!(true);
    }
    provider
}

pub const TOKEN: &str = "dispatch_session_c2VjcmV0";

/// A session that began.
pub fn signed_in() -> Answer {
    Answer::json(
        201,
        &json!({
            "token": TOKEN,
            "session": {
                "name": "s1", "subject": "ada@example.org", "subjectKind": "user",
                "displayName": "Ada Lovelace", "provider": "corp", "client": "command-line",
                "expires": 1_900_000_000, "organization": "acme", "of-a-later-version": true,
            },
        }),
    )
}
