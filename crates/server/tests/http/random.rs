//! Random requests, the same in every run: whatever comes, the answer is the client's fault or a
//! good one, never the server's, and the server goes on.

use dispatch_testkit::{Server, send};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm/echo.wat");
const ROUNDS: usize = 300;

/// What texts are made of: words that mean something somewhere, and what breaks parsers.
const PARTS: &[&str] = &[
    "continue",
    "limit",
    "sort",
    "tags",
    "since",
    "watch",
    "name",
    "=",
    "&",
    "%",
    "%2",
    "%00",
    "%ff",
    "%2F",
    "..",
    "/",
    "//",
    "+",
    "\"",
    "W/",
    "*",
    ",",
    "-",
    "0",
    "1",
    "18446744073709551616",
    "{",
    "}",
    "[",
    "]",
    ":",
    "null",
    "true",
    "1e999",
    "\\u0000",
    "\\ud800",
    "é",
    " ",
    "x",
];

fn text(random: &mut StdRng) -> String {
    let count = random.random_range(0..12);
    (0..count).map(|_| *PARTS.choose(random).expect("there are some")).collect()
}

/// As it may stand in a request's line: what clients refuse to send is escaped.
fn in_uri(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '{' | '}')).collect()
}

#[tokio::test]
async fn random_requests_to_the_api_are_never_its_fault() {
    let server = Server::start().await;
    server.image("wasm").await;
    let random = &mut StdRng::seed_from_u64(7);
    let paths = ["secret", "function", "runs", "image/wasm", "api", "deadletters", "iam/policy"];
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    for _ in 0..ROUNDS {
        let path = paths.choose(random).expect("there are some");
        let path = format!("/v1/{path}?{}", in_uri(&text(random)));
        // A watch that is asked for well has no end.
        if path.contains("watch=true") || path.contains("watch=1") {
            continue;
        }
        let method = methods.choose(random).expect("there are some").clone();
        let mut request = server.request(method.clone(), &path).body(text(random));
        for name in ["if-match", "if-none-match", "idempotency-key", "x-dispatch-org"] {
            if random.random_bool(0.3) {
                request = request.header(name, in_uri(&text(random)));
            }
        }
        let answer = send(request).await;
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
    }
    server.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn random_requests_to_the_gateway_are_never_its_fault() {
    let server = Server::start().await;
    server.image("wasm").await;
    server.function("f", "wasm", ECHO, json!({})).await;
    let uris = json!(["/f", "/p/{one}/{two}"]);
    let api = json!({"name": "f", "function": "f", "uris": uris, "methods": ["GET", "POST"]});
    server.post("/v1/api", api).await.expect(200);
    server.wait_for("/v1/api/f", "READY").await;
    let random = &mut StdRng::seed_from_u64(8);
    let types = ["application/json", "application/x-www-form-urlencoded", "text/plain", ""];
    for _ in 0..ROUNDS {
        let rest = in_uri(&text(random));
        let path = match random.random_range(0..3) {
            0 => format!("/dispatch/f?{rest}"),
            1 => format!("/dispatch/p/{rest}"),
            _ => format!("/{rest}"),
        };
        let method = if random.random_bool(0.5) { Method::GET } else { Method::POST };
        let kind = *types.choose(random).expect("there are some");
        let request = server.gateway(method.clone(), &path).header("content-type", kind);
        let answer = send(request.body(text(random))).await;
        assert!(answer.status < 500, "{method} {path} {kind}: {answer:?}");
    }
    // A form comes through as it was meant, whatever is in it.
    for _ in 0..50 {
        let (name, value) = (text(random), text(random));
        let request = server.gateway(Method::POST, "/dispatch/f").form(&[(&name, &value)]);
        let answer = send(request).await.expect(200).json();
        assert_eq!(answer["payload"], json!({name: value}));
    }
}
