//! What is too large, too slow, or too much.

use super::*;
use crate::invoke::testing::eventually;

fn small() -> Settings {
    Settings { max_body_bytes: 1_000, read_timeout_s: 1, ..Settings::default() }
}

async fn server(settings: Settings) -> Server {
    let server = Server::with(TestEngine::echo(), settings).await;
    server.api("/in", |_| ());
    server
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /dispatch/in HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let server = server(small()).await;
    let long = "x".repeat(998);
    let fits = post("Content-Length: 1000\r\n", &format!("{long}yy"));
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    let wide = format!("X-Wide: {}\r\n", "x".repeat(256 << 10));
    let chunk = format!("3e8\r\n{long}yy\r\n1\r\nz\r\n0\r\n\r\n");
    let path = format!("GET /dispatch/{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9 << 10));
    let cases = [
        (200, fits),
        (413, post("Content-Length: 1001\r\n", "")),
        (413, post("Content-Length: 99999999999\r\n", "")),
        (413, post("Transfer-Encoding: chunked\r\n", &chunk)),
        (431, post(&many, "")),
        (431, post(&wide, "")),
        (414, path.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")),
        (400, post("Content-Length: 2\r\nContent-Length: 3\r\n", "xx")),
        (400, "no http\r\n\r\n".to_owned()),
    ];
    for (status, request) in cases {
        let answer = server.raw(request.as_bytes()).await;
        let start = &request[..request.len().min(120)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
    }
    assert_eq!(server.world.engine.calls(), 1);
}

#[tokio::test]
async fn slow_clients_are_given_up() {
    let server = server(small()).await;
    let silent = server.raw(b"").await;
    let half_a_head = server.raw(b"GET /dispatch/in HTTP/1.1\r\nHo").await;
    for answer in [silent, half_a_head] {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let answer = server.raw(post("Content-Length: 10\r\n", "x").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let mut tls = TcpStream::connect(server.https).await.unwrap();
    tls.write_all(&[22, 3, 1]).await.unwrap();
    let mut rest = Vec::new();
    tls.read_to_end(&mut rest).await.unwrap();
    assert_eq!(server.world.engine.calls(), 0);
}

#[tokio::test]
async fn more_connections_wait_for_their_turn() {
    let server = server(Settings { max_connections: 1, ..Settings::default() }).await;
    let mut first = TcpStream::connect(server.http).await.unwrap();
    first.write_all(b"GET /dispatch/in HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let second = server.raw(b"GET /dispatch/in HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut second = std::pin::pin!(second);
    let waits = tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await;
    assert!(waits.is_err());
    assert_eq!(server.world.engine.calls(), 1);
    drop(first);
    assert!(second.await.starts_with("HTTP/1.1 200 "));
    eventually(async || (server.world.engine.calls() == 2).then_some(())).await;
}
