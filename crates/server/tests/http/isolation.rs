//! Two organizations that use the same names do random things, each with words of its own in every
//! field. Neither ever sees a word of the other's: in no answer, list, event, error, answer of the
//! gateway; and no line of the log holds words of both.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_testkit::{Answer, eventually, send};
use futures::StreamExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::iam::{Iam, public_key, rule};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");
const ROUNDS: usize = 200;
/// What the words of both begin with, so that the log is searched fast.
const WORD: &str = "parrot";
const NOUNS: [&str; 10] = [
    "secret",
    "application",
    "baseimage",
    "image",
    "imagepolicy",
    "function",
    "api",
    "iam/policy",
    "iam/serviceaccount",
    "runs",
];
/// What is read beside the things themselves.
const READS: [&str; 14] = [
    "function/f/version",
    "function/f/placement",
    "function/f/vulnerability",
    "image/wasm/content",
    "deadletters",
    "package",
    "package/users?name=x",
    "vulnerability",
    "engine",
    "enginetype",
    "usage?function=*&by=hour",
    "usage?format=csv",
    "iam/organization",
    "iam/auth",
];

/// What no line of any test may hold: passwords, secrets of clients, and tokens of sessions.
const SECRETS: [&str; 3] = ["a-password-of-people", "a:secret/of+", "dispatch_session_"];

/// The lines of the log that hold a word of either, or what none may hold.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).to_lowercase();
        if line.contains(WORD) || SECRETS.iter().any(|secret| line.contains(secret)) {
            self.0.lock().unwrap().push(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails when a line of the log holds what none may, from the first call on.
#[track_caller]
pub fn no_secret_is_in_the_log() {
    let lines = lines().0.lock().unwrap();
    let found = lines.iter().find(|line| SECRETS.iter().any(|secret| line.contains(secret)));
    assert_eq!(found, None);
}

/// Everything this process logs, at its most talkative.
fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new("dispatch_server=debug"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .try_init()
            .expect("no other test of this binary takes the log");
        lines
    })
}

/// One of the two.
struct Actor<'a> {
    iam: &'a Iam,
    issuer: &'static str,
    org: &'static str,
    /// What all its words begin with, and the other's.
    word: &'static str,
    forbidden: &'static str,
    random: StdRng,
    /// Ids of runs of both.
    runs: &'a Mutex<Vec<String>>,
    seed: u64,
    count: usize,
}

impl Actor<'_> {
    /// A new word of its own.
    fn word(&mut self) -> String {
        self.count += 1;
        format!("{}{}", self.word, self.count)
    }

    #[track_caller]
    fn check(&self, what: &str, seen: &str) {
        let (org, seed) = (self.org, self.seed);
        let seen = seen.to_lowercase();
        let found = seen.find(self.forbidden).map(|at| &seen[at.saturating_sub(80)..]);
        assert!(found.is_none(), "seed {seed}: {org} saw in {what}: {}", found.unwrap_or_default());
    }

    async fn send(&self, what: &str, request: RequestBuilder) -> Answer {
        let answer = send(request).await;
        assert!(answer.status < 500, "seed {}: {what}: {answer:?}", self.seed);
        self.check(what, &format!("{} {:?}", answer.text, answer.headers));
        answer
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let mut request = self.iam.request(self.issuer, method.clone(), path);
        if !body.is_null() {
            request = request.json(body);
        }
        self.send(&format!("{method} {path}"), request).await
    }

    fn shape(&mut self, noun: &str, name: &str) -> Value {
        let word = self.word();
        let tags = json!([{"key": "t", "value": word}, {"key": word, "value": ""}]);
        let mut shape = match noun {
            "secret" => json!({"secrets": {"k": format!("{word}-secret")}}),
            "baseimage" => json!({"dockerUrl": "host:wasm", "language": "wasm"}),
            "image" => json!({"baseImageName": "base"}),
            "imagepolicy" => json!({"mode": "warn",
                "rules": [{"name": word, "effect": "deny", "match": {"package": word}}]}),
            "function" => json!({"image": "wasm", "source": STANDARD.encode(ECHO),
                "environment": {"W": word}, "secrets": ["s"],
                "schema": {"in": {"description": word, "not": {"const": "wrong"}}}}),
            "api" => {
                // The same host, which only one of them can have.
                let hosts = if self.random.random_bool(0.5) { vec!["shop.test"] } else { vec![] };
                json!({"function": "f", "uris": [format!("/{word}")], "hosts": hosts})
            }
            "iam/policy" => json!({"rules": [rule(&word, &["get"], &["function"])]}),
            "iam/serviceaccount" => json!({"publicKey": public_key(), "domain": word}),
            "runs" => {
                let input = if self.random.random_bool(0.2) { "wrong" } else { &word };
                let blocking = self.random.random_bool(0.5);
                return json!({"functionName": "f", "blocking": blocking, "input": input,
                    "tags": tags, "httpContext": {"w": word}});
            }
            _ => json!({}),
        };
        shape["name"] = name.into();
        if !noun.starts_with("iam/") {
            shape["tags"] = tags;
        }
        shape
    }

    /// One random thing.
    async fn act(&mut self) {
        let noun = *NOUNS.choose(&mut self.random).unwrap();
        let name = *["x0", "x1", "f", "s", "no such name"].choose(&mut self.random).unwrap();
        let (list, one) = (format!("/v1/{noun}"), format!("/v1/{noun}/{name}"));
        let shape = self.shape(noun, name);
        match self.random.random_range(0..12) {
            0..=2 if noun == "runs" => self.run(&shape).await,
            0..=2 => drop(self.call(Method::POST, &list, &shape).await),
            3 => drop(self.call(Method::PUT, &one, &shape).await),
            // What the others of the test need stays.
            4 if name.starts_with('x') => {
                drop(self.call(Method::DELETE, &one, &Value::Null).await);
            }
            4 | 5 => drop(self.call(Method::GET, &one, &Value::Null).await),
            6 => drop(self.call(Method::GET, &list, &Value::Null).await),
            7 => self.strangers_run().await,
            8 | 9 => {
                let read = READS.choose(&mut self.random).unwrap();
                self.call(Method::GET, &format!("/v1/{read}"), &Value::Null).await;
            }
            10 => self.other_organization(&one).await,
            _ => self.gateway().await,
        }
    }

    async fn run(&mut self, shape: &Value) {
        let mut request = self.iam.request(self.issuer, Method::POST, "/v1/runs").json(shape);
        // Both use the same keys.
        if self.random.random_bool(0.5) {
            let key = format!("key{}", self.random.random_range(0..3));
            request = request.header("idempotency-key", key);
        }
        let answer = self.send("a run", request).await;
        if answer.status < 300 {
            let id = answer.json()["name"].as_str().unwrap().to_owned();
            self.runs.lock().unwrap().push(id);
        }
    }

    /// Any run there is, its own or the other's, by its id.
    async fn strangers_run(&mut self) {
        let ids = self.runs.lock().unwrap().clone();
        let Some(id) = ids.choose(&mut self.random) else { return };
        for path in [format!("/v1/runs/{id}"), format!("/v1/deadletters/{id}")] {
            self.call(Method::GET, &path, &Value::Null).await;
        }
        let replay = format!("/v1/deadletters/{id}/replay");
        self.call(Method::POST, &replay, &Value::Null).await;
    }

    /// The other's things, asked for as the other's.
    async fn other_organization(&mut self, path: &str) {
        let other = if self.org == "acme" { "other" } else { "acme" };
        for path in [path, "/v1/runs", "/v1/usage"] {
            let request = self.iam.request(self.issuer, Method::GET, path);
            let answer = self.send(path, request.header("x-dispatch-org", other)).await;
            assert_eq!(answer.status, 403, "seed {}: {path}: {}", self.seed, answer.text);
        }
        let path = format!("/v1/iam/organization/{other}");
        assert_eq!(self.call(Method::GET, &path, &Value::Null).await.status, 404);
    }

    async fn gateway(&mut self) {
        let word = self.word();
        let path = format!("/{}/f?q={word}", self.org);
        let request = self.iam.server.gateway(Method::POST, &path).json(&json!({"w": word}));
        let answer = self.send("the gateway", request).await;
        assert!(answer.status != 200 || answer.text.contains(&word), "{}", answer.text);
        let unknown = format!("/{}/{word}", self.org);
        self.send("the gateway", self.iam.server.gateway(Method::GET, &unknown)).await;
    }

    async fn prepare(&mut self) {
        for (noun, name) in [("secret", "s"), ("baseimage", "base"), ("image", "wasm")] {
            let shape = self.shape(noun, name);
            self.call(Method::POST, &format!("/v1/{noun}"), &shape).await.expect(201);
        }
        let shape = self.shape("function", "f");
        self.call(Method::POST, "/v1/function", &shape).await.expect(201);
        let shape = self.shape("iam/policy", "f");
        self.call(Method::POST, "/v1/iam/policy", &shape).await.expect(201);
        let api = json!({"name": "f", "function": "f", "uris": ["/f"], "methods": ["POST"]});
        self.call(Method::POST, "/v1/api", &api).await.expect(200);
        for path in ["/v1/function/f", "/v1/api/f"] {
            eventually(&format!("{path} is READY"), async || {
                let answer = self.call(Method::GET, path, &Value::Null).await;
                (answer.json()["status"] == "READY").then_some(()).ok_or(answer.text)
            })
            .await;
        }
    }
}

/// Follows a list of an actor for as long as the test goes on.
async fn watch(iam: &Iam, issuer: &'static str, path: &str) -> tokio::task::JoinHandle<String> {
    let response = iam.request(issuer, Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let mut chunks = response.bytes_stream();
    tokio::spawn(async move {
        let mut seen = String::new();
        let quiet = Duration::from_secs(2);
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout(quiet, chunks.next()).await {
            seen += &String::from_utf8_lossy(&chunk);
        }
        seen
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_organizations_that_do_random_things_never_see_a_byte_of_each_other() {
    let log = lines();
    let seed = std::env::var("DISPATCH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("DISPATCH_SEED={seed} repeats this");
    let iam = Iam::start().await;
    iam.account("acme/user").await;
    iam.policy("acme", "user", false, json!([rule("user", &["*"], &["*"])])).await;
    let runs = Mutex::default();
    let actor = |issuer, org, word, forbidden| Actor {
        iam: &iam,
        issuer,
        org,
        word,
        forbidden,
        random: StdRng::seed_from_u64(seed ^ u64::from(org == "acme")),
        runs: &runs,
        seed,
        count: 0,
    };
    let (a_word, b_word) = ("parrotaa", "parrotbb");
    let mut a = actor("acme/user", "acme", a_word, b_word);
    let mut b = actor("other/eve", "other", b_word, a_word);
    tokio::join!(a.prepare(), b.prepare());
    let followed = ["secret", "function", "api", "runs", "imagepolicy", "iam/policy"];
    let mut watches = Vec::new();
    for noun in followed {
        let path = format!("/v1/{noun}?watch=true");
        watches.push((true, noun, watch(&iam, "acme/user", &path).await));
        watches.push((false, noun, watch(&iam, "other/eve", &path).await));
    }
    let go = async |actor: &mut Actor<'_>| {
        for _ in 0..ROUNDS {
            actor.act().await;
        }
    };
    tokio::join!(go(&mut a), go(&mut b));
    for (is_a, noun, watch) in watches {
        let seen = watch.await.unwrap();
        let actor = if is_a { &a } else { &b };
        actor.check(&format!("the watch of {noun}"), &seen);
        let own = seen.to_lowercase().contains(actor.word);
        assert!(own || seen.is_empty() || noun == "api", "the watch of {noun} shows what there is");
    }
    let metrics = iam.server.get("/metrics").await.expect(200).text.to_lowercase();
    assert!(!metrics.contains(WORD), "seed {seed}: {metrics}");
    let lines = log.0.lock().unwrap();
    assert!(!lines.is_empty(), "paths of the gateway are in the log");
    for line in lines.iter() {
        let (of_a, of_b) = (line.contains(a_word), line.contains(b_word));
        assert!(!(of_a && of_b), "seed {seed}: of both: {line}");
        assert!(!(of_a && line.contains("org=other")), "seed {seed}: {line}");
        assert!(!(of_b && line.contains("org=acme")), "seed {seed}: {line}");
        assert!(!line.contains("-secret"), "seed {seed}: a secret is in the log: {line}");
    }
}

/// Median times, in turn: noise hits both alike.
async fn medians(iam: &Iam, paths: [&str; 2]) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..240 {
        for (path, times) in paths.iter().zip(&mut times) {
            let began = Instant::now();
            let answer = iam.call("other/eve", None, Method::GET, path, &Value::Null).await;
            assert_eq!(answer.status, 404, "{}", answer.text);
            if round >= 40 {
                times.push(began.elapsed());
            }
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

/// Whether a name is somebody else's or nobody's shows neither in the answer nor in its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_organizations_is_missing_in_the_same_words_and_the_same_time() {
    let iam = Iam::start().await;
    let none = Value::Null;
    for n in 0..100 {
        let secret = json!({"name": format!("s{n:03}"), "secrets": {"k": "v".repeat(2_000)}});
        iam.call("acme/admin", None, Method::POST, "/v1/secret", &secret).await.expect(201);
        let app = json!({"name": format!("s{n:03}")});
        iam.call("acme/admin", None, Method::POST, "/v1/application", &app).await.expect(200);
    }
    for (theirs, nobodys) in [
        ("/v1/secret/s050", "/v1/secret/t050"),
        ("/v1/application/s050", "/v1/application/t050"),
        ("/v1/iam/organization/acme", "/v1/iam/organization/none"),
    ] {
        let texts = [theirs, nobodys].map(|path| async {
            let answer = iam.call("other/eve", None, Method::GET, path, &none).await;
            let mut body = answer.json();
            body.as_object_mut().unwrap().remove("requestId");
            body.to_string().replace(path.rsplit('/').next().unwrap(), "NAME")
        });
        let [a, b] = texts;
        assert_eq!(a.await, b.await, "{theirs}");
        let [a, b] = medians(&iam, [theirs, nobodys]).await;
        let (less, more) = (a.min(b), a.max(b));
        let bound = less.mul_f64(1.3) + Duration::from_micros(200);
        assert!(more <= bound, "{theirs}: {a:?}, {nobodys}: {b:?}");
    }
}
