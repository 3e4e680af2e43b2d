//! Watching lists over server-sent events.

use std::time::Duration;

use dispatch_testkit::Server;
use futures::{Stream, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};

/// The events of a watch: (id, type, name).
async fn watch(
    server: &Server,
    path: &str,
    last: Option<&str>,
) -> impl Stream<Item = (String, String, String)> + Unpin + use<> {
    let mut request = server.request(Method::GET, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let chunks = response.bytes_stream().map(|chunk| chunk.unwrap_or_default());
    let events = futures::stream::unfold((chunks, String::new()), |(mut chunks, mut text)| async {
        loop {
            if let Some(end) = text.find("\n\n") {
                let event: String = text.drain(..end + 2).collect();
                if let Some(event) = parse(&event) {
                    return Some((event, (chunks, text)));
                }
                continue;
            }
            text.push_str(&String::from_utf8_lossy(&chunks.next().await?));
        }
    });
    Box::pin(events)
}

fn parse(event: &str) -> Option<(String, String, String)> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data: Value = serde_json::from_str(field("data: ")?).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = field("id: ").unwrap_or_default().to_owned();
    Some((id, text(&data["type"]), text(&data["object"]["name"])))
}

async fn next(
    events: &mut (impl Stream<Item = (String, String, String)> + Unpin),
) -> (String, String, String) {
    let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    event.expect("an event comes").expect("the watch goes on")
}

async fn secret(server: &Server, name: &str, team: &str) {
    let tags = json!([{"key": "team", "value": team}]);
    let shape = json!({"name": name, "secrets": {}, "tags": tags});
    server.post("/v1/secret", shape).await.expect(201);
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_goes_on() {
    let server = Server::start().await;
    secret(&server, "a", "x").await;
    let mut events = watch(&server, "/v1/secret?watch=true", None).await;
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "a"));
    secret(&server, "b", "x").await;
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "b"));
    server.put("/v1/secret/b", json!({"secrets": {}})).await.expect(201);
    let (_, kind, _) = next(&mut events).await;
    assert_eq!(kind, "MODIFIED");
    server.delete("/v1/secret/a").await.expect(204);
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("DELETED", "a"));
}

#[tokio::test]
async fn a_watch_that_comes_back_gets_what_it_missed() {
    let server = Server::start().await;
    secret(&server, "a", "x").await;
    let mut events = watch(&server, "/v1/secret?watch=true", None).await;
    let (id, ..) = next(&mut events).await;
    drop(events);
    secret(&server, "b", "x").await;
    server.delete("/v1/secret/a").await.expect(204);
    let mut events = watch(&server, "/v1/secret?watch=true", Some(&id)).await;
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "b"));
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("DELETED", "a"));
}

#[tokio::test]
async fn a_watch_selects_and_tells_what_leaves_the_selection() {
    let server = Server::start().await;
    let mut events = watch(&server, "/v1/secret?watch=true&tags=team=x", None).await;
    secret(&server, "other", "y").await;
    secret(&server, "mine", "x").await;
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "mine"));
    server.put("/v1/secret/mine", json!({"secrets": {}})).await.expect(201);
    let (_, kind, name) = next(&mut events).await;
    assert_eq!((kind.as_str(), name.as_str()), ("DELETED", "mine"));
}

#[tokio::test]
async fn a_stopping_server_ends_its_watches() {
    let mut server = Server::start().await;
    let mut events = watch(&server, "/v1/secret?watch=true", None).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), server.stop());
    stopped.await.expect("a watch does not hold the stop up");
    assert!(events.next().await.is_none());
}
