//! Lists: pages, order, selection.

use dispatch_testkit::{Answer, Server};
use reqwest::Method;
use serde_json::{Value, json};

async fn with_secrets(names: &[&str]) -> Server {
    let server = Server::start().await;
    for (i, name) in names.iter().enumerate() {
        let tags = json!([{"key": "parity", "value": (i % 2).to_string()}]);
        let shape = json!({"name": name, "secrets": {}, "tags": tags});
        server.post("/v1/secret", shape).await.expect(201);
    }
    server
}

fn next(page: &Answer) -> Option<String> {
    let link = page.header("link");
    let path = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    assert!(path.contains(page.header("x-dispatch-continue")));
    Some(path.to_owned())
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let server = with_secrets(&["e", "a", "d", "b", "c"]).await;
    assert_eq!(server.get("/v1/secret").await.expect(200).names(), ["a", "b", "c", "d", "e"]);
    let mut seen = Vec::new();
    let mut path = Some("/v1/secret?limit=2&sort=-name".to_owned());
    while let Some(this) = path {
        let page = server.get(&this).await.expect(200);
        assert!(page.names().len() <= 2);
        seen.extend(page.names());
        path = next(&page);
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn lists_sort_and_select() {
    let server = with_secrets(&["e", "a", "d", "b"]).await;
    assert_eq!(server.get("/v1/secret?sort=-created").await.names()[..1], ["b"]);
    assert_eq!(server.get("/v1/secret?tags=parity=1").await.names(), ["a", "b"]);
    assert_eq!(server.get("/v1/secret?tags=parity=1&name=b").await.names(), ["b"]);
    assert_eq!(server.get("/v1/secret?state=ready&limit=1").await.names(), ["a"]);
    assert!(server.get("/v1/secret?state=ERROR").await.names().is_empty());
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let server = Server::start().await;
    let cases = [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("sort=size", "sort"),
        ("tags=x", "tags"),
        ("state=FINE", "state"),
        ("watch=maybe", "watch"),
        ("continue=%%%", "continue"),
        ("colour=red", "colour"),
        ("function=f", "function"),
    ];
    for (query, field) in cases {
        let error = server.get(&format!("/v1/secret?{query}")).await.expect(400).error();
        assert_eq!(error.field.as_deref(), Some(field), "{query}: {error:?}");
    }
    server.get("/v1/secret/none?colour=red").await.expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_their_tokens_tell_nothing_of_what_one_may_not_see() {
    use base64::Engine as _;
    let iam = crate::iam::Iam::start().await;
    for n in 0..6 {
        let secret = json!({"name": format!("hidden{n}"), "secrets": {"k": "v"}});
        iam.call("acme/admin", None, Method::POST, "/v1/secret", &secret).await.expect(201);
        let secret = json!({"name": format!("open{n}"), "secrets": {"k": "v"}});
        iam.call("acme/admin", None, Method::POST, "/v1/secret", &secret).await.expect(201);
    }
    let rule = crate::iam::rule("one", &["get"], &["secret/open*"]);
    iam.policy("acme", "one", false, json!([rule])).await;
    // Everybody sees their own organization alone, of those there are.
    let organizations = crate::iam::rule("eve", &["*"], &["*"]);
    iam.policy("other", "eve", false, json!([organizations])).await;
    for (who, path, all) in [
        (
            "acme/one",
            "/v1/secret",
            ["open0", "open1", "open2", "open3", "open4", "open5"].as_slice(),
        ),
        ("other/eve", "/v1/iam/organization", ["other"].as_slice()),
    ] {
        for limit in [1, 2, 5, 100] {
            let (mut seen, mut next) = (Vec::new(), String::new());
            loop {
                let page = format!("{path}?limit={limit}{next}");
                let answer =
                    iam.call(who, None, Method::GET, &page, &Value::Null).await.expect(200);
                let names = answer.names();
                assert!(!names.is_empty(), "{path}: a page of nothing tells that there is more");
                seen.extend(names);
                let Some(token) = answer.headers.get("x-dispatch-continue") else { break };
                let token = token.to_str().unwrap();
                let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap();
                let last: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(last["name"], *seen.last().unwrap(), "{path}");
                next = format!("&continue={token}");
            }
            assert_eq!(seen, all, "{path} by {limit}");
        }
    }
}
